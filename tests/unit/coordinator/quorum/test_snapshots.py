"""Coordinators that lack entries which nobody keeps any more are brought a snapshot."""

from __future__ import annotations

import pytest

import streamkeep_coordinator.snapshotter
from streamkeep_common.methods import LIST_TOPICS
from streamkeep_proto.v1.coordinator_pb2 import ListTopicsRequest
from tests.unit.coordinator.brokers import Broker
from tests.unit.coordinator.quorum.trio import Quorum, address, simulate

TOPICS = 60


@pytest.fixture(autouse=True)
def short_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamkeep_coordinator.snapshotter, "TRAILING_ENTRIES", 5)


async def _broker(quorum: Quorum) -> None:
    """One that is in session with whoever is active, and may hold replicas."""
    active = await quorum.active()
    machine = quorum.simulation.machine("broker-1")
    await Broker(machine, 1, 1, address(active)).join()


def test_one_that_was_away_for_long_is_brought_a_snapshot_and_goes_on() -> None:
    async def scenario(quorum: Quorum) -> None:
        active = await quorum.active()
        await _broker(quorum)
        away = next(number for number in quorum.nodes if number != active)
        quorum.nodes[away].kill()
        for number in range(TOPICS):
            created = await quorum.create(f"topic-{number}")
            assert not created.outcomes[0].HasField("error"), created
        assert quorum.nodes[active].shell.driver.node.log.base_index > 10
        await quorum.nodes[away].start()
        await quorum.until_all_follow()
        assert quorum.nodes[away].shell.driver.node.log.base_index > 10
        listed = await quorum.ask(away, LIST_TOPICS, ListTopicsRequest())
        assert len(listed.topics) == TOPICS
        quorum.nodes[away].kill(power_cut=True)
        await quorum.nodes[away].start()
        await quorum.until_all_follow()
        assert len((await quorum.ask(away, LIST_TOPICS, ListTopicsRequest())).topics) == TOPICS

    simulate(scenario, snapshot_entries="20")


def test_a_new_member_is_brought_a_snapshot() -> None:
    async def scenario(quorum: Quorum) -> None:
        await quorum.active()
        await _broker(quorum)
        for number in range(TOPICS):
            await quorum.create(f"topic-{number}")
        await quorum.new_node(4).start()
        assert not (await quorum.add(4)).HasField("error")
        await quorum.until_voters(1, 2, 3, 4)
        assert len((await quorum.ask(4, LIST_TOPICS, ListTopicsRequest())).topics) == TOPICS

    simulate(scenario, snapshot_entries="20")
