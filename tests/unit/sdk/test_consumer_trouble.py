"""The consumer while leaders move, offsets go and data is damaged: what it tells, and what it never skips."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from streamkeep import Consumer, Producer
from streamkeep.errors import (
    CorruptDataError,
    LeaderNotAvailableError,
    OffsetOutOfRangeError,
    UnknownTopicError,
)
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.unit.sdk.fake_partition import FakePartition
from tests.unit.sdk.numbered_records import numbered, produce, read
from tests.unit.sdk.world import World, in_world


def flip_a_byte(log: FakePartition, batch: int, position: int) -> None:
    frame = bytearray(log.frames[batch])
    frame[position] ^= 0x40
    log.frames[batch] = bytes(frame)
    LogSegment.FromString(log.frames[batch])  # still a frame to look at


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
