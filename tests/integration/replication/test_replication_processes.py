"""Three replicas as real processes: killed together, emptied, full, hanging, cut off; nothing is lost."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from streamkeep import Admin, Consumer, Producer, TopicPartition
from streamkeep.errors import NotEnoughReplicasError
from streamkeep_proto.v1 import broker_pb2
from streamkeep_proto.v1.coordinator_pb2 import TopicInfo
from tests.acceptance.replication.status import all_in_sync, partition_of, topic_when
from tests.integration.cluster import Cluster
from tests.integration.links import Links
from tests.integration.replication.feed import DEADLINE_S, TOPIC, Feed, read_all

pytestmark = pytest.mark.process

DISK_BYTES = 2_000_000
LAST_BYTES = DISK_BYTES // 8


async def identical(admin: Admin) -> bool:
    return all(each.identical for each in await admin.verify_replicas([TOPIC]))


async def watermark_known_everywhere(admin: Admin, offset: int) -> None:
    """Followers hear of it a moment later than the producer. One that leads alone before it has heard may not
    raise it, and shows nothing above what it knows, until another one is in sync."""
    known: set[int] = set()
    while known != {offset}:
        sizes = (await admin.replica_sizes())[TopicPartition(TOPIC, 0)]
        known = {replica.high_watermark for replica in sizes.values()}


async def test_without_min_isr_writing_is_refused_by_name_reading_goes_on_and_both_recover(
    tmp_path: Path,
) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        Cluster(tmp_path, brokers=3) as cluster,
        Admin(cluster.bootstrap) as admin,
    ):
        await admin.create_topic(TOPIC, partitions=1)
        async with Producer(cluster.bootstrap) as producer:
            await (await producer.send(TOPIC, b"0"))
        await watermark_known_everywhere(admin, 1)
        for broker in (1, 2):
            await cluster.brokers[broker].kill()
        await topic_when(admin, TOPIC, lambda topic: list(topic.partitions[0].isr) == [3])
        async with Producer(cluster.bootstrap, delivery_timeout_ms=1_000) as hasty:
            with pytest.raises(
                NotEnoughReplicasError, match=r"needs 2 replicas in sync \(min_insync_replicas\)"
            ):
                await (await hasty.send(TOPIC, b"never"))
        async with Producer(cluster.bootstrap) as patient, Consumer(cluster.bootstrap) as consumer:
            waiting = await patient.send(TOPIC, b"1")
            await consumer.assign([(TOPIC, 0)])
            records = aiter(consumer)
            assert (await anext(records)).value == b"0"
            assert not waiting.done()
            await cluster.start(cluster.brokers[1])
            await waiting
            assert (await anext(records)).value == b"1", "what was refused is not there"


async def test_replicas_that_all_die_come_back_in_any_order_with_everything(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        Cluster(tmp_path, brokers=3) as cluster,
        Admin(cluster.bootstrap) as admin,
    ):
        await admin.create_topic(TOPIC, partitions=3)
        async with Feed(cluster.bootstrap, partitions=3) as feed:
            for order in ((3, 1, 2), (2, 3, 1)):
                await asyncio.gather(*(broker.kill() for broker in cluster.brokers.values()))
                for broker in order:
                    await cluster.start(cluster.brokers[broker])
                await feed.goes_on()
                await topic_when(admin, TOPIC, all_in_sync)
        assert await read_all(cluster.bootstrap, partitions=3) == list(range(feed.sent))
        assert await identical(admin)


async def test_a_broker_with_an_emptied_disk_never_leads_before_it_has_everything_again(
    tmp_path: Path,
) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        Cluster(tmp_path, brokers=3) as cluster,
        Admin(cluster.bootstrap) as admin,
    ):
        await admin.create_topic(TOPIC, partitions=1)
        async with Feed(cluster.bootstrap) as feed:
            await feed.goes_on()
        before = await partition_of(admin, TOPIC)
        emptied = before.leader
        await asyncio.gather(*(broker.kill() for broker in cluster.brokers.values()))
        shutil.rmtree(cluster.data_dir(emptied))
        await cluster.start(cluster.brokers[emptied])

        def has_left(topic: TopicInfo) -> bool:
            (partition,) = topic.partitions
            return emptied not in [*partition.isr, *partition.elr] and partition.leader != emptied

        await topic_when(admin, TOPIC, has_left)
        for broker in cluster.brokers:
            if broker != emptied:
                await cluster.start(cluster.brokers[broker])
        after = (await topic_when(admin, TOPIC, all_in_sync)).partitions[0]
        assert after.leader != emptied and after.directory_ids != before.directory_ids
        assert await read_all(cluster.bootstrap) == list(range(feed.sent))
        assert await identical(admin)


async def test_a_full_or_hanging_disk_loses_its_leaders_and_writes_go_on(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        Cluster(tmp_path, brokers=3, disk_faults=True, broker_flags={"disk-stall-ms": "500"}) as cluster,
        Admin(cluster.bootstrap) as admin,
    ):
        await admin.create_topic(TOPIC, partitions=1)
        async with Feed(cluster.bootstrap) as feed:
            for fault in ("fill", "hang"):
                leader = (await topic_when(admin, TOPIC, all_in_sync)).partitions[0].leader
                getattr(cluster.disk(leader), fault)()

                def moved(topic: TopicInfo, old: int = leader) -> bool:
                    return topic.partitions[0].leader not in (0, old)

                await topic_when(admin, TOPIC, moved)
                await feed.goes_on()
                cluster.disk(leader).heal()
            await topic_when(admin, TOPIC, all_in_sync)
        assert await read_all(cluster.bootstrap) == list(range(feed.sent))
        assert await identical(admin)


async def test_when_all_disks_are_full_retention_frees_them_and_writes_go_on(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        Cluster(tmp_path, brokers=3, disk_faults=True, broker_flags={"retention-check-ms": "200"}) as cluster,
        Admin(cluster.bootstrap) as admin,
    ):
        await admin.create_topic(TOPIC, partitions=1, settings={"segment_bytes": "65536"})
        for broker in cluster.brokers:
            cluster.disk(broker).shrink(DISK_BYTES)
        async with Feed(cluster.bootstrap, size_bytes=2_000) as feed:
            for broker in cluster.brokers:
                while (await admin.describe_log_dirs(broker))[0].free_bytes > LAST_BYTES:
                    await asyncio.sleep(0.05)
            for broker in cluster.brokers:  # a leader whose followers are full takes no more by itself
                cluster.disk(broker).shrink(DISK_BYTES - LAST_BYTES)
            for broker in cluster.brokers:
                while (await admin.describe_log_dirs(broker))[0].state != broker_pb2.READ_ONLY:
                    await asyncio.sleep(0.05)
            await admin.alter_topic_settings(TOPIC, set={"retention_bytes": str(DISK_BYTES // 4)})
            await feed.goes_on()
            await topic_when(admin, TOPIC, all_in_sync)
        left = await read_all(cluster.bootstrap)
        assert left == list(range(left[0], feed.sent))
        assert await identical(admin)


async def test_a_leader_cut_from_the_coordinators_is_replaced_and_nothing_acknowledged_is_lost(
    tmp_path: Path,
) -> None:
    links = Links()
    async with (
        asyncio.timeout(DEADLINE_S),
        Cluster(tmp_path, brokers=3, links=links) as cluster,
        Admin(cluster.bootstrap) as admin,
    ):
        await admin.create_topic(TOPIC, partitions=1)
        old = (await topic_when(admin, TOPIC, all_in_sync)).partitions[0].leader
        async with Feed(cluster.bootstrap) as feed:
            links.cut(f"broker-{old}", "coordinator-1")
            await feed.goes_on()
            await topic_when(admin, TOPIC, lambda topic: topic.partitions[0].leader not in (0, old))
            await feed.goes_on()
            links.heal()
            await topic_when(admin, TOPIC, all_in_sync)
        assert await read_all(cluster.bootstrap) == list(range(feed.sent))
        assert await identical(admin)
