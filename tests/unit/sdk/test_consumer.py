"""The consumer over a simulated network: what it hands out, where it starts, and what it never skips."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing

import pytest

from streamkeep import AtTime, Client, Consumer, Producer, TopicPartition
from streamkeep.consumer.starts import Start
from streamkeep.errors import (
    ClosedError,
    CorruptDataError,
    LeaderNotAvailableError,
    OffsetOutOfRangeError,
    UnknownPartitionError,
    UnknownTopicError,
)
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.unit.sdk.fake_cluster import FakePartition
from tests.unit.sdk.world import World, in_world


async def produce(client: Client, topic: str, count: int, *, batch: int = 10, partition: int = 0) -> None:
    """Values 00000, 00001, ... with timestamps 1000, 1001, ..., `batch` of them in a batch."""
    async with Producer(client) as producer:
        for start in range(0, count, batch):
            numbers = range(start, min(count, start + batch))
            await (
                await producer.send_many(
                    topic,
                    [b"%05d" % number for number in numbers],
                    keys=[b"k%d" % number for number in numbers],
                    timestamps_ms=[1_000 + number for number in numbers],
                    partition=partition,
                )
            )


async def read(consumer: Consumer, count: int) -> list[bytes | None]:
    values = []
    async for record in consumer:
        values.append(record.value)
        if len(values) == count:
            break
    return values


def numbered(start: int, stop: int) -> list[bytes]:
    return [b"%05d" % number for number in range(start, stop)]


def flip_a_byte(log: FakePartition, batch: int, position: int) -> None:
    frame = bytearray(log.frames[batch])
    frame[position] ^= 0x40
    log.frames[batch] = bytes(frame)
    LogSegment.FromString(log.frames[batch])  # still a frame to look at


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


def test_reading_up_to_given_ends_stops_there_and_can_go_on() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t", partitions=3)
        async with world.client() as client, Consumer(client) as consumer:
            for partition in range(2):
                await produce(client, "t", 30, partition=partition)
            topic_partitions = await consumer.partitions_for("t")
            assert topic_partitions == [TopicPartition("t", number) for number in range(3)]
            await consumer.assign(topic_partitions)
            ends = {("t", 0): 15, ("t", 1): 30, ("t", 2): 0}
            values = [record.value async for record in consumer.records(until=ends)]
            assert sorted(v for v in values if v) == sorted(numbered(0, 15) + numbered(0, 30))
            assert [consumer.position(topic_partition) for topic_partition in topic_partitions] == [15, 30, 0]
            assert await read(consumer, 15) == numbered(15, 30)
            assert [
                batch async for batch in consumer.batches(until=await consumer.end_offsets(topic_partitions))
            ] == []

    in_world(story)


def test_a_loop_over_records_up_to_an_end_that_is_left_early_skips_nothing() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t", partitions=2)
        async with world.client() as client, Consumer(client) as consumer:
            await produce(client, "t", 30)
            await consumer.assign([("t", 0)])
            async with aclosing(consumer.records(until={("t", 0): 25})) as records:
                assert [(await anext(records)).value for _ in range(13)] == numbered(0, 13)
                assert consumer.position(("t", 0)) == 13
            assert await read(consumer, 5) == numbered(13, 18)
            async with aclosing(consumer.records(until={("t", 0): 25})) as records:
                await anext(records)
                await consumer.seek(("t", 0), 2)
                assert (await anext(records)).value == b"00002"
            assert await read(consumer, 27) == numbered(3, 30)

    in_world(story)


def test_an_end_is_reached_where_a_reset_jumps_over_it() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client, reset="earliest") as consumer:
            await produce(client, "t", 20)
            ends = await consumer.end_offsets([("t", 0)])
            log.log_start = 20
            await consumer.assign({("t", 0): 3})
            async with asyncio.timeout(60):
                assert [record async for record in consumer.records(until=ends)] == []

    in_world(story)


def test_reading_up_to_an_end_of_a_partition_that_is_not_assigned_is_told() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t", partitions=2)
        async with world.client() as client, Consumer(client) as consumer:
            await consumer.assign([("t", 0)])
            with pytest.raises(UnknownPartitionError, match="t-1 is not assigned"):
                await anext(consumer.batches(until={("t", 1): 5}))

    in_world(story)


def test_a_consumer_of_a_partition_without_a_leader_outlives_a_long_silence_of_the_coordinators() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client) as consumer:
            await produce(client, "t", 10)
            world.cluster.move_leader("t", 0, 0)
            await client.metadata.refresh()
            await consumer.assign({("t", 0): 0})
            reading = asyncio.ensure_future(read(consumer, 10))
            world.fabric.cut_both("client", "coordinator")
            await world.sleep(200)
            world.cluster.move_leader("t", 0, 1)
            world.fabric.heal()
            async with asyncio.timeout(20):
                assert await reading == numbered(0, 10)

    in_world(story)


def test_a_reset_is_tried_again_while_the_leader_does_not_answer() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        client = world.client(request_timeout_ms=300)
        async with client, Consumer(client, reset="earliest") as consumer:
            await produce(client, "t", 20)
            await consumer.assign({("t", 0): 0})
            log.log_start = 10
            world.cluster.offset_errors.extend(LeaderNotAvailableError("not yet") for _ in range(40))
            async with asyncio.timeout(60):
                assert await read(consumer, 10) == numbered(10, 20)
            assert not world.cluster.offset_errors

    in_world(story)


def test_closing_a_shared_client_ends_an_iteration_that_waits() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        client = world.client()
        async with Consumer(client) as consumer:
            await consumer.assign([("t", 0)])
            reading = asyncio.ensure_future(anext(consumer))
            await world.sleep(1)
            await client.close()
            with pytest.raises(ClosedError):
                async with asyncio.timeout(10):
                    await reading

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


def test_the_consumer_follows_a_leader_that_moves_and_skips_nothing() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client, fetch_buffer_bytes=3_000) as consumer:
            await produce(client, "t", 300)
            await consumer.assign([("t", 0)])
            assert await read(consumer, 5) == numbered(0, 5)
            world.cluster.move_leader("t", 0, 2)
            assert await read(consumer, 295) == numbered(5, 300)

    in_world(story, brokers=2)


def test_a_silent_leader_is_left_as_soon_as_another_leads() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client) as consumer:
            await consumer.assign([("t", 0)])
            reading = asyncio.ensure_future(anext(consumer))
            await world.sleep(1)
            world.fabric.cut_both("client", "broker-1")
            world.cluster.move_leader("t", 0, 2)
            await produce(client, "t", 1)
            began = client.clock.monotonic()
            assert (await reading).value == b"00000"
            assert client.clock.monotonic() - began < 2.0

    in_world(story, brokers=2)


def test_an_offset_outside_the_log_is_an_error_until_a_seek() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client) as consumer:
            await produce(client, "t", 20)
            log.log_start = 10
            await consumer.assign({("t", 0): 3})
            for _ in range(2):
                with pytest.raises(OffsetOutOfRangeError, match="3 is not in 10"):
                    await anext(consumer)
            assert consumer.position(("t", 0)) == 3
            await consumer.seek(("t", 0), 12)
            assert await read(consumer, 8) == numbered(12, 20)
            await consumer.seek(("t", 0), 999)
            with pytest.raises(OffsetOutOfRangeError, match="999"):
                await anext(consumer)

    in_world(story)


@pytest.mark.parametrize(("reset", "first"), [("earliest", b"00010"), ("latest", b"00020")])
def test_a_chosen_reset_goes_on_and_says_so(
    reset: str, first: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client, reset=reset) as consumer:  # type: ignore[arg-type]
            await produce(client, "t", 20)
            log.log_start = 10
            await consumer.assign({("t", 0): 3})
            reading = asyncio.ensure_future(anext(consumer))
            await world.sleep(1)
            async with Producer(client) as producer:
                await (await producer.send("t", b"00020"))
            assert (await reading).value == first

    in_world(story)
    assert "t-0 reset from 3 to" in caplog.text


@pytest.mark.parametrize("position", [6, 13, 39, 49, 91, 101, -1])
def test_damaged_data_is_named_never_handed_out_and_can_be_stepped_over(position: int) -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client) as consumer:
            await produce(client, "t", 40)
            flip_a_byte(log, 1, position)
            await consumer.assign([("t", 0)])
            assert await read(consumer, 10) == numbered(0, 10)
            for _ in range(2):
                with pytest.raises(CorruptDataError, match="t-0 at offset 10") as caught:
                    await anext(consumer)
            assert (caught.value.topic, caught.value.partition, caught.value.offset) == ("t", 0, 10)
            assert caught.value.next_offset in (20, -1)
            await consumer.seek(("t", 0), 20)
            assert await read(consumer, 20) == numbered(20, 40)

    in_world(story)


def test_a_damaged_partition_does_not_stop_the_others() -> None:
    async def story(world: World) -> None:
        logs = world.cluster.create_topic("t", partitions=2)
        async with world.client() as client, Consumer(client) as consumer:
            await produce(client, "t", 10, partition=0)
            await produce(client, "t", 30, partition=1)
            flip_a_byte(logs[0], 0, 101)
            await consumer.assign([("t", 0), ("t", 1)])
            values: deque[bytes | None] = deque()
            errors = 0
            while len(values) < 30 or not errors:
                try:
                    values.append((await anext(consumer)).value)
                except CorruptDataError:
                    errors += 1
            assert list(values) == numbered(0, 30)

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


def test_a_deleted_topic_is_an_error_after_what_was_fetched() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client) as consumer:
            await produce(client, "t", 10)
            await consumer.assign([("t", 0)])
            assert await read(consumer, 4) == numbered(0, 4)
            world.cluster.topics["t"][0].leader = 0
            world.cluster.topics["t"][0].notify()
            world.cluster.delete_topic("t")
            await client.metadata.refresh()
            assert await read(consumer, 6) == numbered(4, 10)
            with pytest.raises(UnknownTopicError, match="was deleted"):
                await anext(consumer)

    in_world(story)


def test_closing_ends_an_iteration_that_waits() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client:
            consumer = Consumer(client)
            await consumer.assign([("t", 0)])
            waiting = asyncio.ensure_future(anext(consumer))
            await world.sleep(1)
            await consumer.close()
            with pytest.raises(ClosedError):
                await waiting
            with pytest.raises(ClosedError):
                await anext(consumer)

    in_world(story)


@pytest.mark.parametrize("seed", range(8))
def test_every_record_once_and_in_order_through_bad_weather(seed: int) -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t", partitions=3)
        world.cluster.max_slice_bytes = 1_000
        async with world.client() as client, Consumer(client, fetch_buffer_bytes=6_000) as consumer:
            for partition in range(3):
                await produce(client, "t", 500, partition=partition)
            world.fabric.weather.break_odds = 0.02
            world.fabric.weather.spike_odds = 0.05

            async def stir() -> None:
                while True:
                    await world.sleep(world.rng.random() * 0.3)
                    world.cluster.move_leader("t", world.rng.randrange(3), world.rng.choice([0, 1, 2]))

            await consumer.assign([("t", partition) for partition in range(3)])
            stirring = asyncio.ensure_future(stir())
            seen: dict[int, list[bytes | None]] = {0: [], 1: [], 2: []}
            async for record in consumer:
                seen[record.partition].append(record.value)
                if sum(map(len, seen.values())) == 750:
                    stirring.cancel()
                    for partition in range(3):
                        world.cluster.move_leader("t", partition, 1 + partition % 2)
                if sum(map(len, seen.values())) == 1_500:
                    break
                if world.rng.random() < 0.1:
                    await world.sleep(0.01)
        assert all(values == numbered(0, 500) for values in seen.values())

    in_world(story, seed=seed, brokers=2)
