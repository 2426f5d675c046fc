"""What brokers say of single partitions and of their disks, against a whole coordinator in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streamkeep_common.methods import ALTER_PARTITIONS, LIST_TOPICS, REPORT_REPLICAS
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import (
    AlteredPartition,
    AlterPartition,
    AlterPartitionsRequest,
    InSyncMember,
    ListTopicsRequest,
    PartitionInfo,
    ReplicaReport,
    ReportedReplica,
    ReportReplicasRequest,
)
from tests.unit.coordinator.brokers import Broker
from tests.unit.coordinator.world import World, simulate


def directory(broker_id: int) -> bytes:
    return bytes([broker_id]) * 16


async def with_topic(world: World, replicas: int = 3) -> list[Broker]:
    brokers = await world.live_brokers(3)
    await world.create("t", replicas=replicas)
    return brokers


async def until(world: World, holds: Callable[[PartitionInfo], bool], within_s: float = 2.0) -> PartitionInfo:
    async with asyncio.timeout(within_s):
        while not holds(partition := await world.partition("t")):
            await asyncio.sleep(0.01)
    return partition


async def propose(world: World, topic: bytes, *members: int) -> AlteredPartition:
    """By the leader, at the epochs as they are."""
    partition = await world.partition("t")
    item = AlterPartition(
        topic_id=topic,
        leader_epoch=partition.leader_epoch,
        partition_epoch=partition.partition_epoch,
        isr=[InSyncMember(broker_id=each, broker_epoch=1) for each in members],
    )
    request = AlterPartitionsRequest(broker_id=partition.leader, broker_epoch=1, partitions=[item])
    return (await world.client.call(ALTER_PARTITIONS, request, timeout_s=5)).outcomes[0]


async def report(world: World, topic: bytes, broker: Broker, report: ReplicaReport) -> ReportedReplica:
    report.topic_id = topic
    report.partition_epoch = (await world.partition("t")).partition_epoch
    request = ReportReplicasRequest(
        broker_id=broker.register.broker_id,
        broker_epoch=broker.registered.broker_epoch,
        replicas=[report],
    )
    return (await world.client.call(REPORT_REPLICAS, request, timeout_s=5)).outcomes[0]


async def id_of_topic(world: World) -> bytes:
    return (await world.client.call(LIST_TOPICS, ListTopicsRequest(), timeout_s=5)).topics[0].topic_id


def test_a_leader_proposes_who_is_in_sync() -> None:
    async def scenario(world: World) -> None:
        await with_topic(world)
        topic = await id_of_topic(world)
        assert (await propose(world, topic, 1, 2)).partition_epoch == 2
        assert list((await world.partition("t")).isr) == [1, 2]

    simulate(scenario)


def test_a_broker_that_wants_to_stop_leads_nothing_and_does_not_come_back_into_sync() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world)
        topic = await id_of_topic(world)
        brokers[0].heartbeat.wants_shutdown = True
        partition = await until(world, lambda each: 1 not in each.isr)
        assert (partition.leader, list(partition.isr)) == (2, [2, 3])
        refused = await propose(world, topic, 1, 2, 3)
        assert refused.error.code == errors_pb2.INELIGIBLE_REPLICA
        assert refused.partition_epoch == partition.partition_epoch

    simulate(scenario)


def test_who_was_to_stop_and_starts_again_comes_back_into_sync() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world)
        topic = await id_of_topic(world)
        brokers[0].heartbeat.wants_shutdown = True
        await until(world, lambda each: 1 not in each.isr)
        brokers[0].heartbeat.wants_shutdown = False
        await brokers[0].join()
        assert not (await propose(world, topic, 1, 2, 3)).HasField("error")

    simulate(scenario)


def test_a_stalled_disk_leads_nothing_until_it_flushes_again() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world)
        topic = await id_of_topic(world)
        brokers[0].heartbeat.stalled_directory_ids.append(directory(1))
        partition = await until(world, lambda each: each.leader != 1)
        assert list(partition.isr) == [2, 3]
        assert (await propose(world, topic, 1, 2, 3)).error.code == errors_pb2.INELIGIBLE_REPLICA
        del brokers[0].heartbeat.stalled_directory_ids[:]
        async with asyncio.timeout(2):
            while (await propose(world, topic, 1, 2, 3)).HasField("error"):
                await asyncio.sleep(0.1)

    simulate(scenario)


def test_preferred_replicas_lead_again_when_they_are_in_sync() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world)
        topic = await id_of_topic(world)
        brokers[0].heartbeat.full_directory_ids.append(directory(1))
        await until(world, lambda each: each.leader == 2)
        del brokers[0].heartbeat.full_directory_ids[:]
        async with asyncio.timeout(2):
            while (await propose(world, topic, 1, 2, 3)).HasField("error"):
                await asyncio.sleep(0.1)
        await until(world, lambda each: each.leader == 1, within_s=3)

    simulate(scenario, leader_balance_ms="1000")


def test_an_emptied_disk_gets_its_replicas_anew_when_its_broker_is_up() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world)
        brokers[0].kill()
        await until(world, lambda each: each.leader == 2)
        newcomer = world.broker(1, incarnation=2)
        newcomer.register.directory_ids[:] = [b"n" * 16]
        await newcomer.join()
        partition = await until(world, lambda each: each.directory_ids[0] == b"n" * 16)
        assert list(partition.isr) == [2, 3]

    simulate(scenario)


def test_a_disk_that_comes_back_leads_once_its_broker_has_told_what_it_has() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world, replicas=1)
        topic = await id_of_topic(world)
        brokers[0].heartbeat.offline_directory_ids.append(directory(1))
        assert list((await until(world, lambda each: not each.leader)).last_members) == [1]
        brokers[0].kill()
        await asyncio.sleep(0.5)
        newcomer = world.broker(1, incarnation=2)
        await newcomer.open()
        reach = ReplicaReport(last_epoch=1, log_end_offset=7)
        assert not (await report(world, topic, newcomer, reach)).HasField("error")
        assert not (await world.partition("t")).leader
        await newcomer.join()
        await until(world, lambda each: each.leader == 1)
        lines = world.metrics.render().decode()
        assert 'streamkeep_leader_elections_total{kind="unclean"} 1.0' in lines

    simulate(scenario)


def test_a_damaged_replica_is_copied_anew_only_if_others_have_its_data() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world)
        topic = await id_of_topic(world)
        damaged = ReplicaReport(damaged=True)
        assert (await report(world, topic, brokers[0], damaged)).may_copy_anew
        assert (await report(world, topic, brokers[1], damaged)).may_copy_anew
        assert not (await report(world, topic, brokers[2], damaged)).may_copy_anew
        partition = await world.partition("t")
        assert (partition.leader, list(partition.isr)) == (3, [3])
        lines = world.metrics.render().decode()
        assert "streamkeep_under_replicated_partitions 1.0" in lines
        assert "streamkeep_under_min_isr_partitions 1.0" in lines

    simulate(scenario)


def test_who_speaks_of_too_many_partitions_at_once_is_refused() -> None:
    async def scenario(world: World) -> None:
        alter = AlterPartitionsRequest(broker_id=1, partitions=[AlterPartition()] * 1_001)
        tell = ReportReplicasRequest(broker_id=1, replicas=[ReplicaReport()] * 1_001)
        altered = await world.client.call(ALTER_PARTITIONS, alter, timeout_s=5)
        told = await world.client.call(REPORT_REPLICAS, tell, timeout_s=5)
        assert altered.error.code == told.error.code == errors_pb2.INVALID_REQUEST

    simulate(scenario)
