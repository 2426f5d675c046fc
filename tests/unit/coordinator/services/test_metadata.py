"""Metadata and its watch against a whole coordinator, in simulated time."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep_common.methods import GET_METADATA
from streamkeep_common.seams import RpcError, Status
from streamkeep_coordinator import entry_feed, snapshotter
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import (
    GetMetadataRequest,
    GetMetadataResponse,
)
from tests.unit.coordinator.watcher import Watcher
from tests.unit.coordinator.world import World, simulate


async def metadata(world: World, request: GetMetadataRequest) -> GetMetadataResponse:
    return await world.client.call(GET_METADATA, request, timeout_s=5)


def test_metadata_say_who_leads_by_name_by_id_and_all() -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(2)
        created = await world.create("a", "b", partitions=2)
        answer = await metadata(
            world,
            GetMetadataRequest(
                names=["b", "none"], topic_ids=[created.outcomes[0].topic_id, b"unknown.........", b""]
            ),
        )
        assert [each.name for each in answer.topics] == ["b", "none", "a", "", ""]
        errors = [each.error.code for each in answer.topics]
        unknown = errors_pb2.UNKNOWN_TOPIC
        assert errors == [0, unknown, 0, unknown, unknown]
        assert [each.leader for each in answer.topics[0].partitions] == [1, 2]
        assert [each.address for each in answer.brokers] == ["broker-1:7201", "broker-2:7201"]
        assert [(each.coordinator_id, each.active) for each in answer.coordinators] == [(1, True)]
        assert answer.coordinators[0].address == "coordinator:7101"
        assert answer.cluster_epoch == 1
        everything = await metadata(world, GetMetadataRequest(all_topics=True))
        assert [each.name for each in everything.topics] == ["a", "b"]
        assert not (await metadata(world, GetMetadataRequest())).topics

    simulate(scenario)


def test_a_request_that_names_too_much_is_refused() -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(RpcError, match="send more than 1000 in several requests") as raised:
            await metadata(world, GetMetadataRequest(names=["t"] * 1001))
        assert raised.value.status is Status.INVALID_ARGUMENT

    simulate(scenario)


def test_a_watcher_gets_every_entry_in_order() -> None:
    async def scenario(world: World) -> None:
        watcher = Watcher(world.client)
        await watcher.open()
        await world.live_brokers(1)
        for number in range(20):
            await world.create(f"t{number}")
        index = (await metadata(world, GetMetadataRequest())).metadata_index
        await watcher.reach(index)
        assert len(watcher.image.topics) == 20
        assert watcher.snapshots == 0

    simulate(scenario)


def test_a_watch_is_resumed_by_index() -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(1)
        first = Watcher(world.client)
        await first.open()
        index = (await world.create("a")).outcomes[0].metadata_index
        await first.reach(index)
        index = (await world.create("b")).outcomes[0].metadata_index
        second = Watcher(world.client, after=first.image)
        await second.open()
        await second.reach(index)
        assert (second.snapshots, second.responses) == (0, 1)
        assert sorted(second.image.topic_ids) == ["a", "b"]

    simulate(scenario)


def test_after_a_restart_a_new_watcher_gets_a_snapshot_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshotter, "CHUNK_RECORDS", 7)

    async def scenario(world: World) -> None:
        await world.live_brokers(2)
        await world.create("a", "b", "c", partitions=10)
        for number in range(10):
            await world.create(f"t{number}")
        await asyncio.sleep(1)
        await world.restart()
        watcher = Watcher(world.client)
        await watcher.open()
        index = (await metadata(world, GetMetadataRequest())).metadata_index
        await watcher.reach(index)
        assert watcher.snapshots == 1
        assert watcher.responses > 4
        assert watcher.image.partition_count == 40

    simulate(scenario, snapshot_entries="10")


def test_an_idle_watch_has_a_heartbeat_twice_a_second() -> None:
    async def scenario(world: World) -> None:
        watcher = Watcher(world.client)
        await watcher.open()
        await watcher.next()
        loop = asyncio.get_running_loop()
        for _ in range(10):
            started = loop.time()
            response = await watcher.next()
            assert response.committed_index == watcher.image.index
            assert loop.time() - started <= 0.5

    simulate(scenario)


def test_a_slow_watcher_falls_back_to_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_feed, "MAX_ENTRIES", 10)
    monkeypatch.setattr(entry_feed, "RESPONSE_ENTRIES", 2)

    async def scenario(world: World) -> None:
        await world.live_brokers(1)
        watcher = Watcher(world.client)
        await watcher.open()
        await watcher.next()
        world.simulation.fabric.cut("coordinator", "client")
        fast = world.simulation.machine("other").network.dial("coordinator:7101")
        world.client, watched = fast, world.client
        for number in range(100):
            await world.create(f"t{number}", partitions=100)
        world.simulation.fabric.heal()
        world.client = watched
        await watcher.reach((await metadata(world, GetMetadataRequest())).metadata_index)
        assert len(watcher.image.topics) == 100
        assert watcher.snapshots >= 1

    simulate(scenario)


def test_a_watcher_of_another_cluster_is_told_so() -> None:
    async def scenario(world: World) -> None:
        watcher = Watcher(world.client, cluster_id="another")
        await watcher.open()
        assert (await watcher.next()).error.code == errors_pb2.CLUSTER_MISMATCH
        same = Watcher(world.client, cluster_id=(await metadata(world, GetMetadataRequest())).cluster_id)
        await same.open()
        await same.reach(1)

    simulate(scenario)
