"""The consumer over a simulated network: what it hands out, where it starts, and what it fetches ahead."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from streamkeep import Admin, AtTime, Consumer, Producer
from streamkeep.consumer.starts import Start
from streamkeep.errors import UnknownPartitionError, UnknownTopicError
from tests.unit.sdk.numbered_records import numbered, produce, read
from tests.unit.sdk.world import World, in_world


def test_records_come_in_order_with_all_that_was_sent() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client) as consumer:
            async with Producer(client) as producer:
                await producer.send("t", b"v", key=b"k", headers=[("h", b"1"), ("h", b"2")], timestamp_ms=7)
                await producer.send("t", None)
            await consumer.assign([("t", 0)])
            record = await anext(consumer)
            assert (record.topic, record.partition, record.offset, record.timestamp_ms) == ("t", 0, 0, 7)
            assert (record.key, record.value, record.leader_epoch) == (b"k", b"v", 1)
            assert list(record.headers) == [("h", b"1"), ("h", b"2")]
            tombstone = await anext(consumer)
            assert (tombstone.key, tombstone.value, list(tombstone.headers)) == (None, None, [])

    in_world(story)


def test_records_that_come_later_are_pushed() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client) as consumer:
            await consumer.assign({("t", 0): "latest"})
            reading = asyncio.ensure_future(anext(consumer))
            await world.sleep(3)
            assert not reading.done()
            began = client.clock.monotonic()
            await produce(client, "t", 1)
            assert (await reading).value == b"00000"
            assert client.clock.monotonic() - began < 0.1

    in_world(story)


def test_starts_are_offsets_ends_and_times() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t", partitions=5)
        async with world.client() as client, Consumer(client) as consumer:
            for partition in range(5):
                await produce(client, "t", 30, partition=partition)
            starts: dict[tuple[str, int], Start] = {
                ("t", 0): "earliest",
                ("t", 1): 17,
                ("t", 2): AtTime(1_025),
                ("t", 3): AtTime(9_999),
            }
            await consumer.assign({**starts, ("t", 4): "latest"})
            assert [consumer.position(("t", partition)) for partition in range(5)] == [0, 17, 25, 30, 30]
            values = await read(consumer, 30 + 13 + 5)
            assert sorted(v for v in values if v) == sorted(
                numbered(0, 30) + numbered(17, 30) + numbered(25, 30)
            )

    in_world(story)


def test_position_and_lag_follow_what_was_handed_out_not_what_was_fetched() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client) as consumer:
            await produce(client, "t", 25)
            await consumer.assign([("t", 0)])
            assert consumer.position(("t", 0)) == 0
            assert consumer.lag(("t", 0)) is None
            await read(consumer, 7)
            assert (consumer.position(("t", 0)), consumer.lag(("t", 0))) == (7, 18)
            async for batch in consumer.batches():
                assert list(batch.values) == numbered(7, 10), "the rest of the batch that was begun"
                break
            assert consumer.position(("t", 0)) == 10
            assert await read(consumer, 15) == numbered(10, 25)
            assert (consumer.position(("t", 0)), consumer.lag(("t", 0))) == (25, 0)

    in_world(story)


def test_batches_are_columns() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client) as consumer:
            await produce(client, "t", 10)
            await consumer.assign({("t", 0): 4})
            batch = await anext(aiter(consumer.batches()))
            assert (batch.topic, batch.partition, len(batch), batch.next_offset) == ("t", 0, 6, 10)
            assert list(batch.offsets) == list(range(4, 10)), "a batch that begins below the start is cut"
            assert list(batch.values) == numbered(4, 10)
            assert batch.keys is not None and batch.keys[0] == b"k4"
            assert list(batch.timestamps_ms) == list(range(1_004, 1_010))
            assert [record.offset for record in batch.records()] == list(range(4, 10))

    in_world(story)


def test_seek_drops_what_was_fetched_and_reads_from_there() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client) as consumer:
            await produce(client, "t", 50)
            await consumer.assign([("t", 0)])
            assert await read(consumer, 3) == numbered(0, 3)
            await consumer.seek(("t", 0), 40)
            assert await read(consumer, 2) == numbered(40, 42)
            await consumer.seek(("t", 0), AtTime(1_005))
            assert await read(consumer, 2) == numbered(5, 7)
            await consumer.seek(("t", 0), "earliest")
            assert await read(consumer, 50) == numbered(0, 50)

    in_world(story)


def test_a_paused_partition_is_silent_and_loses_nothing() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t", partitions=2)
        async with world.client() as client, Consumer(client) as consumer:
            await produce(client, "t", 20, partition=0)
            await consumer.assign([("t", 0), ("t", 1)])
            assert await read(consumer, 3) == numbered(0, 3)
            consumer.pause(("t", 0))
            await produce(client, "t", 5, partition=1)
            first = [await anext(consumer) for _ in range(5)]
            assert {record.partition for record in first} == {1}
            waiting = asyncio.ensure_future(anext(consumer))
            await world.sleep(2)
            assert not waiting.done()
            consumer.resume(("t", 0))
            assert (await waiting).value == b"00003"
            assert await read(consumer, 16) == numbered(4, 20)

    in_world(story)


def test_what_is_fetched_ahead_is_bounded_by_credit() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client, fetch_buffer_bytes=2_000) as consumer:
            await produce(client, "t", 1_000)
            await consumer.assign([("t", 0)])
            await read(consumer, 1)
            await world.sleep(1)
            reader = consumer._reader(("t", 0))
            frame_bytes = len(log.frames[0])
            assert reader.buffered_bytes <= 2_000 + 2 * frame_bytes
            assert await read(consumer, 999) == numbered(1, 1_000)

    in_world(story)


def test_wrong_topics_and_partitions_are_told_at_once() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client) as consumer:
            with pytest.raises(UnknownTopicError, match="'nope'"):
                await consumer.assign([("nope", 0)])
            with pytest.raises(UnknownPartitionError, match="0 to 0, not 1"):
                await consumer.assign([("t", 1)])
            with pytest.raises(ValueError, match="never negative"):
                await consumer.assign({("t", 0): -5})
            with pytest.raises(RuntimeError, match="assign"):
                await anext(consumer)
            await consumer.assign([("t", 0)])
            with pytest.raises(UnknownPartitionError, match="not assigned"):
                consumer.position(("t", 7))

    in_world(story)


@pytest.mark.parametrize("start", ["beginning", "max_timestamp", 1.5, True, None])
def test_a_start_that_there_is_not_is_told_with_those_that_there_are(start: Any) -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client) as consumer:
            wrong = re.escape(f"start is 'earliest', 'latest', an offset or AtTime(ms), not {start!r}")
            with pytest.raises(ValueError, match=wrong):
                await consumer.assign([("t", 0)], start=start)
            await consumer.assign([("t", 0)])
            with pytest.raises(ValueError, match=wrong):
                await consumer.seek(("t", 0), start)

    in_world(story)


@pytest.mark.parametrize("given", ["ledger", ["ledger"], ["no"], ("ledger", 0), {"ledger": 0}, [("t", "0")]])
def test_who_names_no_partition_is_told_how(given: Any) -> None:
    async def story(world: World) -> None:
        async with world.client() as client, Consumer(client) as consumer, Admin(client) as admin:
            for call in (consumer.assign, consumer.beginning_offsets, consumer.end_offsets):
                with pytest.raises(TypeError, match=r"partitions_for\(topic\)"):
                    await call(given)
            for one in given:
                for ask in (consumer.offsets_for_times, admin.list_offsets, admin.delete_records):
                    with pytest.raises(TypeError, match=r"a partition is \(topic, number\), not"):
                        await ask({one: 0})

    in_world(story)


def test_an_offset_that_there_is_not_is_told_with_those_that_there_are() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Admin(client) as admin:
            with pytest.raises(ValueError, match=r"'max_timestamp' or AtTime\(ms\), not 'beginning'"):
                await admin.list_offsets({("t", 0): "beginning"})  # type: ignore[dict-item]

    in_world(story)
