"""Real broker processes: what survives a kill, how they stop, and what they refuse."""

from __future__ import annotations

import asyncio
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from streamkeep_common.methods import CREATE_TOPICS, GET_METADATA
from streamkeep_common.seams import Channel
from streamkeep_common.seams.real.network import GrpcNetwork
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import (
    CreateTopicsRequest,
    GetMetadataRequest,
    NewTopic,
    TopicInfo,
)
from tests.integration.cluster import Cluster
from tests.unit.broker.clients import Fetcher, Producer, item, make_batch

pytestmark = pytest.mark.process

DEADLINE_S = 20.0


@asynccontextmanager
async def dial(address: str) -> AsyncIterator[Channel]:
    channel = GrpcNetwork().dial(address)
    try:
        yield channel
    finally:
        await channel.close()


async def create_topic(cluster: Cluster, name: str, *, partitions: int = 1) -> TopicInfo:
    """Create it and return it as it is once every partition has a leader."""
    async with dial(cluster.bootstrap) as channel:
        topic = NewTopic(name=name, partitions=partitions)
        response = await channel.call(CREATE_TOPICS, CreateTopicsRequest(topics=[topic]), timeout_s=10)
        assert response.outcomes[0].error.code == errors_pb2.NONE, response.outcomes[0].error.message
    return await describe(cluster, name)


async def describe(cluster: Cluster, name: str) -> TopicInfo:
    """The topic, once every partition has a leader."""
    async with dial(cluster.bootstrap) as channel, asyncio.timeout(DEADLINE_S):
        while True:
            response = await channel.call(GET_METADATA, GetMetadataRequest(names=[name]), timeout_s=5)
            (topic,) = response.topics
            if topic.partitions and all(partition.leader for partition in topic.partitions):
                return topic
            await asyncio.sleep(0.02)


async def produce(channel: Channel, topic_id: bytes, values: list[bytes], *, sequence: int = 0) -> int:
    """One batch, sent again until the broker has heard that it leads; returns the base offset."""
    async with asyncio.timeout(DEADLINE_S):
        producer = Producer(channel)
        while True:
            batch = make_batch(values, sequence=sequence, timestamp_ms=time.time_ns() // 1_000_000)
            (result,) = await producer.produce(item(topic_id, batch))
            if result.error.code == errors_pb2.NONE:
                producer.stream.cancel()
                return result.base_offset
            assert result.error.code in (errors_pb2.NOT_LEADER, errors_pb2.UNKNOWN_TOPIC), (
                result.error.message
            )
            await asyncio.sleep(0.02)


async def consume(channel: Channel, topic_id: bytes, count: int) -> list[bytes]:
    async with asyncio.timeout(DEADLINE_S):
        fetcher = Fetcher(channel)
        await fetcher.start(topic_id)
        values = await fetcher.until_values(count)
        fetcher.stream.cancel()
        return values


async def test_acknowledged_records_survive_kill_9_and_the_new_incarnation_has_a_new_epoch(
    tmp_path: Path,
) -> None:
    async with Cluster(tmp_path) as cluster:
        broker = cluster.brokers[1]
        topic = await create_topic(cluster, "flights")
        async with dial(broker.address) as channel:
            assert await produce(channel, topic.topic_id, [b"a", b"b"]) == 0
        await broker.kill()
        await broker.restart()
        async with dial(broker.address) as channel:
            assert await consume(channel, topic.topic_id, 2) == [b"a", b"b"]
            assert await produce(channel, topic.topic_id, [b"a", b"b"]) == 0, "sent twice, stored once"
            assert await produce(channel, topic.topic_id, [b"c"], sequence=2) == 2
            assert await consume(channel, topic.topic_id, 3) == [b"a", b"b", b"c"]
        after = await describe(cluster, "flights")
        assert after.partitions[0].leader_epoch > topic.partitions[0].leader_epoch


async def test_sigterm_ends_a_busy_broker_in_order_and_in_time(tmp_path: Path) -> None:
    """Exit code 0 says that stopping took less than its two seconds."""
    async with Cluster(tmp_path) as cluster:
        broker = cluster.brokers[1]
        topic = await create_topic(cluster, "flights")
        async with dial(broker.address) as channel:
            await produce(channel, topic.topic_id, [b"a"])
            producer, fetcher = Producer(channel), Fetcher(channel)
            await fetcher.start(topic.topic_id)
            await fetcher.until_values(1)
            await producer.receive()
            stopping = asyncio.ensure_future(broker.stop())
            while await producer.receive():
                pass
            while await fetcher.receive():
                pass
            assert await stopping == 0
        for closing in (producer.closing, fetcher.closing):
            assert closing is not None
            assert list(closing.coordinators) == [cluster.bootstrap]
        await broker.restart()
        async with dial(broker.address) as channel:
            assert await consume(channel, topic.topic_id, 1) == [b"a"]


async def test_a_second_process_on_the_same_directory_is_refused_in_one_sentence(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        code, said = await run_broker(cluster, 1, tmp_path / "broker-1")
        assert code == 1
        assert "in use by another process" in said
        assert "Traceback" not in said


async def test_a_second_process_with_the_same_id_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        topic = await create_topic(cluster, "flights")
        code, said = await run_broker(cluster, 1, tmp_path / "another")
        assert code == 1
        assert "Stop the other process, or start this broker with an id of its own." in said
        async with dial(cluster.brokers[1].address) as channel:
            assert await produce(channel, topic.topic_id, [b"a"]) == 0


async def test_a_broker_with_another_clusters_directory_is_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    async with Cluster(first) as cluster:
        await cluster.brokers[1].stop()
    async with Cluster(second, brokers=0) as cluster:
        code, said = await run_broker(cluster, 1, first / "broker-1")
    assert code == 1
    assert "Point the process at its own cluster" in said


async def test_garbage_and_plain_http_on_the_port_disturb_nobody(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        topic = await create_topic(cluster, "flights")
        address = cluster.brokers[1].address
        host, _, port = address.rpartition(":")
        async with dial(address) as channel:
            await produce(channel, topic.topic_id, [b"a"])
            silent = await asyncio.open_connection(host, int(port))
            for noise in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(range(256)) * 100):
                _, writer = await asyncio.open_connection(host, int(port))
                writer.write(noise)
                await writer.drain()
                writer.close()
            assert await produce(channel, topic.topic_id, [b"b"], sequence=1) == 1
            silent[1].close()


async def test_metrics_are_served(tmp_path: Path) -> None:
    async with Cluster(tmp_path, broker_flags={"metrics-listen": "127.0.0.1:0"}) as cluster:
        url = f"http://{cluster.brokers[1].ready['metrics']}/metrics"
        text = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=5).read().decode())
        assert "streamkeep_fenced 0.0" in text
        assert 'streamkeep_log_dir_state{path="' in text


async def test_an_unwritable_directory_is_refused_in_one_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    async with Cluster(tmp_path, brokers=0) as cluster:
        code, said = await run_broker(cluster, 1, blocked / "data")
        assert code == 1
        assert "cannot be written" in said


async def run_broker(cluster: Cluster, broker_id: int, data_dir: Path) -> tuple[int, str]:
    """A broker that is expected to end by itself: its exit code and what it said on stderr."""
    arguments = ["--id", str(broker_id), "--listen", "127.0.0.1:0", "--metrics-listen", ""]
    arguments += ["--data-dirs", str(data_dir), "--coordinators", cluster.bootstrap]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "streamkeep_broker",
        *arguments,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE_S):
        _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()
