"""Upkeep goes on, whatever becomes of one directory."""

from __future__ import annotations

import asyncio
from typing import cast

from streamkeep_broker.log.open_directory import OpenDirectory
from streamkeep_broker.log.upkeep import Upkeep
from tests.sim.simulation import Simulation
from tests.unit.broker.log_manager.host import ONE, TWO, Host
from tests.unit.broker.simulated import simulated


class Home:
    """What upkeep sees of a directory: it counts its checkpoints, and hangs in them if it is told to."""

    def __init__(self, host: Host, *, hangs: bool) -> None:
        self.directory = host.manager().directories[0]
        self.checkpoints = 0
        self._hangs = hangs

    def flush_unhurried(self) -> None:
        """Nothing to flush."""

    async def checkpoint(self) -> None:
        self.checkpoints += 1
        if self._hangs:
            await asyncio.Event().wait()


async def nothing_to_open(_home: OpenDirectory) -> None:
    raise AssertionError("all logs are open")


@simulated
async def test_a_disk_that_hangs_does_not_keep_the_others_from_being_looked_after(sim: Simulation) -> None:
    host = Host(sim, directories=(ONE, TWO))
    hanging, good = Home(host, hangs=True), Home(host, hangs=False)
    upkeep = Upkeep(
        [cast(OpenDirectory, hanging), cast(OpenDirectory, good)],
        open_rest=nothing_to_open,
        clock=host.machine.clock,
        retention_check_ms=3_600_000,
        checkpoint_ms=100,
        producer_expiration_ms=1,
        space_check_ms=3_600_000,
    )
    upkeep.start()
    await asyncio.sleep(1.05)
    await upkeep.stop()
    assert hanging.checkpoints == 1
    assert good.checkpoints == 10
