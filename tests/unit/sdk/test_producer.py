"""The producer over a simulated network: what it delivers, and what it refuses."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep import Producer
from streamkeep.errors import (
    BatchTooLargeError,
    InvalidTopicNameError,
    UnknownPartitionError,
    UnknownTopicError,
)
from streamkeep_common.limits import MAX_RECORDS_PER_BATCH
from tests.unit.sdk.world import World, in_world


def test_a_record_is_delivered_and_its_place_is_told() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Producer(client) as producer:
            first = await producer.send("t", b"one", key=b"k", headers={"h": b"1"}, timestamp_ms=42)
            second = await producer.send("t", b"two")
            assert not first.done()
            metadata = await first
            assert (metadata.topic, metadata.partition, metadata.offset, metadata.timestamp_ms) == (
                "t",
                0,
                0,
                42,
            )
            assert (await second).offset == 1
            assert first.done() and first.exception() is None and first.result() == metadata
        assert log.values() == [b"one", b"two"]

    in_world(story)


def test_many_callers_share_requests() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t", partitions=3)
        async with world.client() as client, Producer(client) as producer:

            async def caller(name: int) -> None:
                for number in range(10):
                    await (await producer.send("t", b"%d-%d" % (name, number)))

            await asyncio.gather(*(caller(name) for name in range(64)))
        stored = [value for log in world.cluster.topics["t"] for value in log.values()]
        assert len(stored) == len(set(stored)) == 640
        assert len(world.cluster.produce_requests) < 100

    in_world(story)


def test_a_lone_record_does_not_linger() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Producer(client, linger_ms=5_000) as producer:
            await (await producer.send("t", b"warm"))
            clock = client.clock
            began = clock.monotonic()
            await (await producer.send("t", b"one"))
            assert clock.monotonic() - began < 0.05

    in_world(story)


def test_records_gather_while_a_request_is_on_its_way_but_no_longer_than_the_linger() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        world.fabric.weather.latency_s = (1.0, 1.0)
        async with world.client() as client, Producer(client, linger_ms=200) as producer:
            await (await producer.send("t", b"warm"))
            world.cluster.produce_requests.clear()
            await producer.send("t", b"first")
            for _ in range(10):
                await world.sleep(0.01)
                await producer.send("t", b"x")
            await world.until(lambda: len(world.cluster.produce_requests) == 2, within_s=1.5)
            await producer.flush()
        assert world.cluster.produce_requests == [1, 1]

    in_world(story)


def test_keys_go_where_kafka_users_expect() -> None:
    """Kafka's murmur2 of these keys, positive, modulo 10."""

    async def story(world: World) -> None:
        world.cluster.create_topic("t", partitions=10)
        async with world.client() as client, Producer(client) as producer:
            for key, digest in ((b"21", -973932308), (b"foobar", -790332482), (b"abc", 479470107)):
                metadata = await (await producer.send("t", b"v", key=key))
                assert metadata.partition == (digest & 0x7FFFFFFF) % 10
            assert (await (await producer.send("t", b"v", key=b"21", partition=3))).partition == 3

    in_world(story)


def test_send_many_takes_columns_and_tells_each_outcome() -> None:
    async def story(world: World) -> None:
        logs = world.cluster.create_topic("t", partitions=4)
        async with world.client() as client, Producer(client, batch_bytes=2_000) as producer:
            values = [b"value-%04d" % number for number in range(1_000)]
            keys = [b"key-%d" % (number % 17) for number in range(1_000)]
            keyed = await producer.send_many("t", values, keys=keys, timestamps_ms=list(range(1_000)))
            await keyed
            assert len(keyed) == 1_000 and keyed.failures() == [] and keyed.done()
            for number in (0, 1, 500, 999):
                metadata = keyed[number].result()
                assert logs[metadata.partition].values()[metadata.offset] == values[number]
                assert metadata.timestamp_ms == number
            plain = await producer.send_many("t", [b"a", None, b"c"], headers=[None, {"h": b"1"}, None])
            await plain
            assert plain[2].result().offset == plain[0].result().offset + 2
        order = [[value for value in log.values() if value and value.startswith(b"value")] for log in logs]
        assert all(column == sorted(column) for column in order)
        assert sum(map(len, order)) == 1_000

    in_world(story)


def test_send_many_keeps_the_order_of_a_partition_among_records_with_and_without_a_key() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Producer(client) as producer:
            values = [b"%d" % number for number in range(6)]
            await (await producer.send_many("t", values, keys=[None, b"a", b"b", None, None, b"c"]))
        assert log.values() == values

    in_world(story)


def test_records_of_next_to_nothing_do_not_fill_a_batch_with_more_than_it_may_have() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        count = MAX_RECORDS_PER_BATCH + 1
        async with world.client() as client, Producer(client) as producer:
            await (await producer.send_many("t", [b""] * count))
        assert len(log.values()) == count

    in_world(story)


def test_wrong_topics_partitions_and_arguments_are_refused_where_they_are_made() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t", partitions=2)
        async with world.client() as client, Producer(client) as producer:
            with pytest.raises(UnknownTopicError, match="topic 'nope' does not exist"):
                await producer.send("nope", b"x")
            with pytest.raises(InvalidTopicNameError):
                await producer.send("no/pe", b"x")
            with pytest.raises(UnknownPartitionError, match="0 to 1, not 2"):
                await producer.send("t", b"x", partition=2)
            with pytest.raises(TypeError, match="a value is bytes or None, not str"):
                await producer.send("t", "text")  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="a key is bytes"):
                await producer.send("t", b"x", key=7)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="a header is"):
                await producer.send("t", b"x", headers={"h": "text"})  # type: ignore[dict-item]
            with pytest.raises(ValueError, match="surrogates not allowed"):
                await producer.send("t", b"x", headers={"\udce9": b"text"})
            with pytest.raises(ValueError, match="a timestamp is"):
                await producer.send("t", b"x", timestamp_ms=-1)
            with pytest.raises(BatchTooLargeError, match="cannot be sent"):
                await producer.send("t", b"x" * (8 << 20))
            with pytest.raises(ValueError, match="2 keys for 1 values"):
                await producer.send_many("t", [b"x"], keys=[b"a", b"b"])
            with pytest.raises(TypeError):
                await producer.send_many("t", [b"x", "y"])  # type: ignore[list-item]
            assert (await (await producer.send("t", None, key=b"gone"))).offset == 0

    in_world(story)
