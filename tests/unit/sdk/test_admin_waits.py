"""Waits end when it is so, and say what was in the way when time is up."""

from __future__ import annotations

import pytest

from streamkeep import TopicPartition
from streamkeep.errors import TimedOutError, UnknownTopicError
from streamkeep_proto.v1.broker_pb2 import LogDirReplica
from streamkeep_proto.v1.coordinator_pb2 import PartitionInfo
from tests.unit.sdk.admin_world import AdminWorld, in_admin_world


def test_brokers_are_waited_for_until_enough_are_up() -> None:
    async def story(world: AdminWorld) -> None:
        world.brokers[1].fenced = True
        world.later(3.0, lambda: setattr(world.brokers[1], "fenced", False))
        began_s = world.clock.monotonic()
        await world.admin.wait_for_brokers(2)
        assert 3.0 <= world.clock.monotonic() - began_s < 3.5

    in_admin_world(story)


def test_when_time_is_up_the_last_obstacle_is_told() -> None:
    async def story(world: AdminWorld) -> None:
        world.brokers[1].fenced = True
        with pytest.raises(TimedOutError) as caught:
            await world.admin.wait_for_brokers(3, timeout_ms=1_500)
        assert caught.value.message == (
            "not 3 brokers were up within 1.5 s: 1 of 2 registered brokers are up; "
            "broker 2 at broker-2:7201 is fenced"
        )

    in_admin_world(story)


def test_a_full_in_sync_set_is_waited_for_and_what_is_lacking_named() -> None:
    async def story(world: AdminWorld) -> None:
        partition = world.topics["t"][0]
        del partition.isr[:]
        partition.isr.append(1)
        with pytest.raises(TimedOutError, match=r"were in sync within 1 s: t-0 lacks broker 2"):
            await world.admin.wait_until_in_sync("t", timeout_ms=1_000)
        world.later(1.0, lambda: partition.isr.append(2))
        await world.admin.wait_until_in_sync()
        with pytest.raises(UnknownTopicError):
            await world.admin.wait_until_in_sync("u")

    in_admin_world(story)


def test_many_obstacles_are_counted_not_listed() -> None:
    async def story(world: AdminWorld) -> None:
        world.topics["t"] = [PartitionInfo(partition=number, replicas=[1]) for number in range(9)]
        with pytest.raises(TimedOutError, match=r"t-2 has no leader; and 6 more"):
            await world.admin.wait_until_in_sync(timeout_ms=500)

    in_admin_world(story)


def test_a_move_is_waited_for_by_partition() -> None:
    async def story(world: AdminWorld) -> None:
        partition = world.topics["t"][0]
        partition.adding_replicas.append(3)
        partition.replicas.append(3)
        await world.admin.wait_until_moved(("u", 0), ("t", 1))
        with pytest.raises(TimedOutError, match=r"t-0 waits for broker 3"):
            await world.admin.wait_until_moved(TopicPartition("t", 0), timeout_ms=500)
        world.later(1.0, lambda: partition.ClearField("adding_replicas"))
        await world.admin.wait_until_moved()

    in_admin_world(story)


def test_a_deleted_topic_is_gone_when_no_broker_holds_it() -> None:
    async def story(world: AdminWorld) -> None:
        world.held = [LogDirReplica(topic="t", partition=0), LogDirReplica(topic="other")]
        with pytest.raises(TimedOutError, match="topic 't' still exists"):
            await world.admin.wait_until_deleted("t", timeout_ms=300)
        del world.topics["t"]
        with pytest.raises(TimedOutError, match=r"broker 1 still holds t-0; broker 2 still holds t-0"):
            await world.admin.wait_until_deleted("t", timeout_ms=300)
        world.later(0.5, lambda: world.held.pop(0))
        await world.admin.wait_until_deleted("t", "never-there")
        await world.admin.wait_until_deleted()

    in_admin_world(story)


def test_a_broker_that_is_up_and_silent_is_in_the_way_and_a_fenced_one_is_not() -> None:
    async def story(world: AdminWorld) -> None:
        del world.topics["t"]
        world.machines["broker-2"].kill()
        with pytest.raises(TimedOutError, match="broker 2 does not tell what it holds"):
            await world.admin.wait_until_deleted("t", timeout_ms=3_000)
        world.brokers[1].fenced = True
        await world.admin.wait_until_deleted("t")

    in_admin_world(story)


def test_a_cluster_that_does_not_answer_is_told_when_time_is_up() -> None:
    async def story(world: AdminWorld) -> None:
        world.machines["coordinator"].kill()
        with pytest.raises(TimedOutError, match="no coordinator"):
            await world.admin.wait_for_brokers(1, timeout_ms=1_000)

    in_admin_world(story)


def test_added_partitions_are_waited_for_also_if_the_coordinator_asked_has_not_heard_of_them() -> None:
    async def story(world: AdminWorld) -> None:
        await world.admin.wait_until_ready("t")
        began_s = world.clock.monotonic()
        await world.admin.add_partitions("t", 3)
        assert 1.0 <= world.clock.monotonic() - began_s < 1.5
        world.topics["t"].append(PartitionInfo(partition=3))
        with pytest.raises(TimedOutError, match="t-3 has no leader"):
            await world.admin.wait_until_ready("t", timeout_ms=500)

    in_admin_world(story)


def test_topics_that_are_not_served_in_time_are_named_partition_by_partition() -> None:
    async def story(world: AdminWorld) -> None:
        world.topics["t"] = [PartitionInfo(partition=number) for number in range(5)]
        began_s = world.clock.monotonic()
        with pytest.raises(
            TimedOutError, match=r"not all partitions were served within 1 s: t-0: .*; t-2: .*; and 2 more"
        ):
            await world.admin.wait_until_ready("t", timeout_ms=1_000)
        assert world.clock.monotonic() - began_s < 1.2
        with pytest.raises(UnknownTopicError):
            await world.admin.wait_until_ready("t", "u")

    in_admin_world(story)
