"""A watch goes on at any coordinator, by index, and never goes back."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep_common.methods import CREATE_TOPICS
from streamkeep_coordinator import snapshotter
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import CreateTopicsRequest, NewTopic
from tests.unit.coordinator.members import CLUSTER_ID, Members, simulate_members
from tests.unit.coordinator.watcher import Watcher


async def create(members: Members, *names: str, at: int = 1) -> int:
    """The index at which they exist."""
    request = CreateTopicsRequest(topics=[NewTopic(name=name, partitions=1) for name in names])
    response = await members[at].client.call(CREATE_TOPICS, request, timeout_s=5)
    return response.outcomes[-1].metadata_index


async def follow(members: Members, at: int, after: Watcher | None = None, epoch: int = 0) -> Watcher:
    image = None if after is None else after.image
    watcher = Watcher(members[at].client, after=image, cluster_id=CLUSTER_ID, cluster_epoch=epoch)
    await watcher.open()
    return watcher


def test_every_coordinator_serves_the_watch() -> None:
    async def scenario(members: Members) -> None:
        await members.live_brokers(1)
        watchers = [await follow(members, at) for at in (1, 2, 3)]
        index = await create(members, "a", "b")
        for watcher in watchers:
            await watcher.reach(index)
            assert sorted(watcher.image.topic_ids) == ["a", "b"]
            assert watcher.snapshots == 0

    simulate_members(scenario)


def test_a_watch_goes_on_at_another_coordinator_by_index_and_across_a_change_of_leadership() -> None:
    async def scenario(members: Members) -> None:
        await members.live_brokers(1)
        first = await follow(members, 1)
        await first.reach(await create(members, "a"))
        members.quorum.elect(2)
        index = await create(members, "b", at=2)
        second = await follow(members, 3, after=first)
        await second.reach(index)
        assert second.snapshots == 0
        await first.reach(index)
        assert first.snapshots == 0
        assert sorted(first.image.topic_ids) == sorted(second.image.topic_ids) == ["a", "b"]

    simulate_members(scenario)


def test_a_watcher_that_is_ahead_of_a_coordinator_waits_for_it_and_never_goes_back() -> None:
    async def scenario(members: Members) -> None:
        await members.live_brokers(1)
        members.quorum.cut(3)
        ahead = await follow(members, 1)
        index = await create(members, "a")
        await ahead.reach(index)
        moved = await follow(members, 3, after=ahead)
        for _ in range(4):
            response = await moved.next()
            assert response.committed_index < index
            assert not response.entries
        members.quorum.heal(3)
        await moved.reach(await create(members, "b"))
        assert moved.snapshots == 0
        assert sorted(moved.image.topic_ids) == ["a", "b"]

    simulate_members(scenario)


def test_a_watcher_that_is_behind_an_installed_snapshot_starts_over_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshotter, "CHUNK_RECORDS", 3)

    async def scenario(members: Members) -> None:
        await members.live_brokers(1)
        watcher = await follow(members, 3)
        await watcher.reach(await create(members, "a"))
        members.quorum.cut(3)
        for name in ("b", "c", "d"):
            await create(members, name)
        images = members[1].images
        members[3].images.install(images.committed, images.committed_term)
        members[3].consensus.applied = images.committed.index
        members.quorum.heal(3)
        await watcher.reach(images.committed.index)
        assert watcher.snapshots == 1
        await watcher.reach(await create(members, "e"))
        assert watcher.snapshots == 1
        assert sorted(watcher.image.topic_ids) == ["a", "b", "c", "d", "e"]

    simulate_members(scenario)


def test_after_a_recovery_by_force_a_watcher_starts_over_even_at_a_lower_index() -> None:
    async def scenario(members: Members) -> None:
        await members.live_brokers(1)
        ahead = await follow(members, 1, epoch=1)
        members.quorum.cut(3)
        index = await create(members, "lost")
        await ahead.reach(index)
        members[3].consensus.cluster_epoch = 2
        moved = await follow(members, 3, after=ahead, epoch=1)
        while moved.snapshots == 0:
            await moved.next()
        assert moved.image.index < index
        assert "lost" not in moved.image.topic_ids

    simulate_members(scenario)


def test_a_coordinator_of_an_older_epoch_serves_no_watcher_that_has_seen_the_new_one() -> None:
    async def scenario(members: Members) -> None:
        watcher = await follow(members, 3, epoch=2)
        assert (await watcher.next()).error.code == errors_pb2.CLUSTER_MISMATCH

    simulate_members(scenario)


def test_a_coordinator_outside_of_any_cluster_says_so_to_watchers() -> None:
    async def scenario(members: Members) -> None:
        following = await follow(members, 3)
        await following.next()
        members[3].consensus.removed = "it was removed"
        async with asyncio.timeout(1):
            while not (response := await following.next()).HasField("error"):
                pass
        assert response.error.code == errors_pb2.REMOVED
        members[3].consensus.is_initialized = False
        watcher = await follow(members, 3)
        assert (await watcher.next()).error.code == errors_pb2.NOT_INITIALIZED

    simulate_members(scenario)
