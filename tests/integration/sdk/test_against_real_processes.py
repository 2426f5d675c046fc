"""The SDK with a real cluster on loopback: what it promises end to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamkeep import Admin, AtTime, Client, Consumer, Producer
from streamkeep.errors import (
    BatchTooLargeError,
    InvalidPartitionCountError,
    InvalidSettingError,
    InvalidTimestampError,
    InvalidTopicNameError,
    OffsetOutOfRangeError,
    StreamkeepError,
    TopicExistsError,
    UnknownBrokerError,
    UnknownPartitionError,
    UnknownSettingError,
    UnknownTopicError,
    UnsupportedFeatureError,
)
from streamkeep_proto.v1.coordinator_pb2 import NewTopic
from tests.integration.cluster import Cluster

pytestmark = pytest.mark.process

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with Cluster(tmp_path) as cluster:
        yield cluster


async def read_all(client: Client, topic: str) -> list[bytes | None]:
    async with Consumer(client) as consumer:
        topic_partitions = await consumer.partitions_for(topic)
        await consumer.assign(topic_partitions)
        ends = await consumer.end_offsets(topic_partitions)
        return [record.value async for record in consumer.records(until=ends)]


async def test_what_goes_in_comes_out_with_every_codec_and_column(cluster: Cluster) -> None:
    async with Client(cluster.bootstrap) as client, Admin(client) as admin:
        await admin.create_topic("t", partitions=len(CODECS))
        for partition, codec in enumerate(CODECS):
            async with Producer(client, compression=codec) as producer:  # type: ignore[arg-type]
                await producer.send(
                    "t", b"first", key=b"", headers={"h": b"1"}, partition=partition, timestamp_ms=7
                )
                values: list[bytes | None] = [b"%05d" % number * 10 for number in range(5_000)]
                await (await producer.send_many("t", [*values, None], partition=partition))
        async with Consumer(client) as consumer:
            await consumer.assign(await consumer.partitions_for("t"))
            for partition in range(len(CODECS)):
                consumer.pause(
                    *(
                        topic_partition
                        for topic_partition in consumer.assignment()
                        if topic_partition.partition != partition
                    )
                )
                consumer.resume(("t", partition))
                records = [await anext(consumer) for _ in range(5_002)]
                assert [record.offset for record in records] == list(range(5_002))
                assert [record.value for record in records] == [b"first", *values, None]
                assert (records[0].key, list(records[0].headers)) == (b"", [("h", b"1")])
                assert records[0].timestamp_ms == 7
                assert records[1].key is None and records[1].leader_epoch == 1


async def test_offsets_times_and_deleted_records(cluster: Cluster) -> None:
    async with Client(cluster.bootstrap) as client, Admin(client) as admin, Producer(client) as producer:
        await admin.create_topic("t", partitions=1)
        stamps = list(range(1_000, 1_100))
        await (await producer.send_many("t", [b"%d" % stamp for stamp in stamps], timestamps_ms=stamps))
        topic_partition = ("t", 0)
        async with Consumer(client) as consumer:
            assert await consumer.offsets_for_times({topic_partition: 1_040}) == {topic_partition: 40}
            assert await consumer.offsets_for_times({topic_partition: 5_000}) == {topic_partition: None}
            deleted = await admin.delete_records({topic_partition: 30, ("t", 9): 1})
            assert deleted[topic_partition].log_start_offset == 30  # type: ignore[union-attr, index]
            assert isinstance(deleted["t", 9], UnknownPartitionError)  # type: ignore[index]
            assert await consumer.beginning_offsets([topic_partition]) == {topic_partition: 30}
            assert await consumer.end_offsets([topic_partition]) == {topic_partition: 100}
            await consumer.assign({topic_partition: 3})
            with pytest.raises(OffsetOutOfRangeError):
                await anext(consumer)
            await consumer.seek(topic_partition, AtTime(1_099))
            assert (await anext(consumer)).value == b"1099"
        offsets = await admin.list_offsets({topic_partition: "max_timestamp"})
        assert offsets[topic_partition].offset == 99  # type: ignore[union-attr, index]


async def test_topics_are_administered_with_an_outcome_each(cluster: Cluster) -> None:
    async with Client(cluster.bootstrap) as client, Admin(client) as admin:
        outcome = await admin.create_topic("a", partitions=2, settings={"retention_ms": "60000"})
        assert (outcome.partitions, outcome.replication_factor) == (2, 1)
        with pytest.raises(TopicExistsError):
            await admin.create_topic("a")
        with pytest.raises(InvalidTopicNameError):
            await admin.create_topic("no/pe")
        with pytest.raises(UnknownSettingError, match="retention_ms"):
            await admin.create_topic("b", settings={"retention_mss": "1"})
        with pytest.raises(InvalidSettingError):
            await admin.create_topic("b", settings={"retention_ms": "soon"})
        outcomes = await admin.create_topics([NewTopic(name="b"), NewTopic(name="a")])
        assert [bool(outcome.error.code) for outcome in outcomes] == [False, True]
        assert [(topic.name, topic.partitions) for topic in await admin.list_topics()] == [("a", 2), ("b", 6)]
        described = await admin.describe_topic("a")
        settings = {setting.name: (setting.value, setting.is_default) for setting in described.settings}
        assert settings["retention_ms"] == ("60000", False)
        await admin.alter_topic_settings("a", set={"max_batch_bytes": "20000"}, unset=["retention_ms"])
        described = await admin.describe_topic("a")
        settings = {setting.name: (setting.value, setting.is_default) for setting in described.settings}
        assert settings["max_batch_bytes"] == ("20000", False) and settings["retention_ms"][1]
        await admin.add_partitions("a", 3)
        with pytest.raises(InvalidPartitionCountError):
            await admin.add_partitions("a", 1)
        assert len((await admin.describe_topic("a")).partitions) == 3
        await admin.delete_topic("a")
        with pytest.raises(UnknownTopicError):
            await admin.describe_topic("a")
        cluster_now = await admin.describe_cluster()
        assert (len(cluster_now.coordinators), len(cluster_now.brokers), cluster_now.topics) == (1, 1, 1)
        (directory,) = await admin.describe_log_dirs(1)
        assert directory.total_bytes > directory.free_bytes > 0
        with pytest.raises(UnknownBrokerError):
            await admin.describe_log_dirs(7)


async def test_a_producer_uses_new_partitions_and_survives_the_end_of_its_topic(cluster: Cluster) -> None:
    async with Client(cluster.bootstrap) as client, Admin(client) as admin, Producer(client) as producer:
        await admin.create_topic("t", partitions=1)
        await (await producer.send("t", b"x"))
        await admin.add_partitions("t", 2)
        assert (await (await producer.send("t", b"x", partition=1))).partition == 1
        await admin.delete_topic("t")
        with pytest.raises(UnknownTopicError):
            async with asyncio.timeout(30):
                while True:  # the broker hears of it a moment after the coordinator has decided
                    await (await producer.send("t", b"x"))
        await admin.create_topic("t", partitions=1)
        assert (await (await producer.send("t", b"new"))).offset == 0
        assert await read_all(client, "t") == [b"new"]


async def test_a_topics_limits_reach_the_producer(cluster: Cluster) -> None:
    async with Client(cluster.bootstrap) as client, Admin(client) as admin, Producer(client) as producer:
        await admin.create_topic("small", partitions=1, settings={"max_batch_bytes": "20000"})
        sent = await producer.send_many("small", [b"x" * 1_000] * 200)
        await sent
        assert sent[199].result().offset == 199, "batches above the limit are split"
        with pytest.raises(BatchTooLargeError):
            await (await producer.send("small", b"x" * 30_000))
        await admin.create_topic("recent", partitions=1, settings={"timestamp_before_max_ms": "60000"})
        with pytest.raises(InvalidTimestampError):
            await (await producer.send("recent", b"x", timestamp_ms=1))
        assert (await (await producer.send("recent", b"x"))).offset == 0


async def test_half_of_the_bootstrap_list_may_be_dead(cluster: Cluster) -> None:
    addresses = f"127.0.0.1:1, {cluster.brokers[1].address}, {cluster.bootstrap}"
    async with Admin(addresses) as admin:
        assert await admin.list_topics() == []
    async with Admin("127.0.0.1:1", request_timeout_ms=500) as admin:
        with pytest.raises(
            StreamkeepError, match=r"no coordinator answers at 127\.0\.0\.1:1 \(connection refused\)"
        ):
            await admin.list_topics()
    async with Admin(cluster.brokers[1].address) as admin:
        with pytest.raises(UnsupportedFeatureError, match="is not a coordinator"):
            await admin.list_topics()


async def test_acknowledged_records_survive_a_broker_that_is_killed_again_and_again(cluster: Cluster) -> None:
    """The producer goes on through it; at the end every record is there once, unchanged, in order."""
    broker = cluster.brokers[1]
    async with Client(cluster.bootstrap) as client, Admin(client) as admin, Producer(client) as producer:
        await admin.create_topic("t", partitions=2)
        stopping = asyncio.Event()
        sent: list[list[bytes]] = [[], []]

        async def write(partition: int) -> None:
            while not stopping.is_set():
                value = b"%d-%08d" % (partition, len(sent[partition])) + b"x" * 100
                sent[partition].append(value)
                delivery = await producer.send("t", value, partition=partition)
                if len(sent[partition]) % 500 == 0:
                    assert (await delivery).offset == len(sent[partition]) - 1

        writing = [asyncio.create_task(write(partition)) for partition in range(2)]
        for _ in range(5):
            before = len(sent[0])
            while len(sent[0]) < before + 1_000:
                await asyncio.sleep(0)
            await broker.kill()
            await broker.restart()
        stopping.set()
        await asyncio.gather(*writing)
        await producer.flush()
        async with Consumer(client) as consumer:
            for partition in range(2):
                await consumer.assign([("t", partition)])
                ends = await consumer.end_offsets([("t", partition)])
                got = [record.value async for record in consumer.records(until=ends)]
                assert got == sent[partition]


async def test_a_broker_that_stops_tells_its_clients_and_they_return_to_it(cluster: Cluster) -> None:
    broker = cluster.brokers[1]
    async with Client(cluster.bootstrap) as client, Admin(client) as admin, Producer(client) as producer:
        await admin.create_topic("t", partitions=1)
        async with Consumer(client) as consumer:
            await consumer.assign([("t", 0)])
            await (await producer.send("t", b"before"))
            assert (await anext(consumer)).value == b"before"
            assert await broker.stop() == 0
            waiting = await producer.send("t", b"meanwhile")
            await broker.restart()
            assert (await waiting).offset == 1
            assert (await anext(consumer)).value == b"meanwhile"
