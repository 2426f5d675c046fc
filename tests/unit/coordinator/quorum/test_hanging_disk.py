"""A disk that hangs: no error, and no end of a write. Whoever leads with such a disk lets another lead."""

from __future__ import annotations

import pytest

from streamkeep_common.errors import UnavailableError
from tests.unit.coordinator.quorum.trio import Quorum, simulate

NOTICED_S = 1.5
"""The disk may be slow for one election timeout, 0.6 s; the rest is much more than a handover takes."""


def test_another_coordinator_is_active_soon_after_the_active_ones_disk_hangs() -> None:
    async def scenario(quorum: Quorum) -> None:
        first = await quorum.active()
        await quorum.until_all_follow()
        quorum.nodes[first].machine.workers.stall()
        began_at = quorum.simulation.loop.time()
        lost = quorum.nodes[first].change()

        second = await quorum.active(besides=first)
        await quorum.nodes[second].change()
        with pytest.raises(UnavailableError):
            await lost

        assert quorum.simulation.loop.time() - began_at < NOTICED_S
        quorum.nodes[first].machine.workers.resume()

    simulate(scenario)


def test_a_coordinator_follows_again_when_its_disk_has_answered() -> None:
    async def scenario(quorum: Quorum) -> None:
        first = await quorum.active()
        await quorum.until_all_follow()
        quorum.nodes[first].machine.workers.stall()
        lost = quorum.nodes[first].change()
        second = await quorum.active(besides=first)
        with pytest.raises(UnavailableError):
            await lost
        await quorum.client.clock.sleep(5.0)
        assert await quorum.active() == second

        quorum.nodes[first].machine.workers.resume()

        await quorum.until_all_follow()

    simulate(scenario)


def test_a_sole_coordinator_waits_for_its_disk() -> None:
    async def scenario(quorum: Quorum) -> None:
        only = quorum.nodes[await quorum.active()]
        only.machine.workers.stall()
        waiting = only.change()
        await quorum.client.clock.sleep(3.0)
        assert not waiting.done()

        only.machine.workers.resume()

        await waiting

    simulate(scenario, count=1)
