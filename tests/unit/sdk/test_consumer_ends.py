"""Reading up to given ends, and how an iteration ends that waits."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from streamkeep import Consumer, TopicPartition
from streamkeep.errors import ClosedError, UnknownPartitionError
from tests.unit.sdk.numbered_records import numbered, produce, read
from tests.unit.sdk.world import World, in_world


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
