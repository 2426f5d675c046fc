"""The producer's buffer: who waits for room in it, and for how long."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep import Producer
from streamkeep.errors import BufferFullError, UnknownTopicError
from streamkeep_common.limits import KIB
from tests.unit.sdk.world import World, in_world


def test_send_waits_for_room_and_send_nowait_says_that_it_would() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with (
            world.client() as client,
            Producer(client, batch_bytes=1_000, buffer_bytes=4_000) as producer,
        ):
            with pytest.raises(BufferFullError, match="not known yet"):
                producer.send_nowait("t", b"x")
            assert await producer.partitions_for("t") == 1
            world.cluster.move_leader("t", 0, 0)
            await client.metadata.refresh()
            refused = 0
            for _ in range(20):
                try:
                    producer.send_nowait("t", b"x" * 496)
                except BufferFullError:
                    refused += 1
            assert refused == 12, "eight records of 500 bytes fit"
            waiting = [asyncio.ensure_future(producer.send("t", b"y" * 496)) for _ in range(20)]
            await world.sleep(1)
            assert not any(task.done() for task in waiting)
            waiting[0].cancel()
            world.cluster.move_leader("t", 0, 1)
            for task in waiting[1:]:
                await (await task)
        assert len(log.values()) == 8 + 19

    in_world(story)


def test_a_turn_for_room_in_the_buffer_is_passed_on_by_who_cannot_use_it() -> None:
    async def story(world: World) -> None:
        for topic in ("gone", "kept"):
            world.cluster.create_topic(topic)
        async with (
            world.client() as client,
            Producer(client, batch_bytes=64 * KIB, buffer_bytes=128 * KIB) as producer,
        ):
            world.fabric.cut_both("client", "broker-1")
            for topic in ("gone", "kept"):
                await producer.partitions_for(topic)
            with pytest.raises(BufferFullError):
                while True:
                    producer.send_nowait("gone", bytes(1_000))
            waiting = [asyncio.ensure_future(producer.send("gone", bytes(1_000))) for _ in range(20)]
            last = asyncio.ensure_future(producer.send("kept", b"x"))
            await world.sleep(1)
            world.cluster.delete_topic("gone")
            await client.metadata.refresh()
            async with asyncio.timeout(10):
                delivery = await last
            told = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(outcome, UnknownTopicError) for outcome in told)
            world.fabric.heal()
            await delivery

    in_world(story)


def test_a_small_buffer_has_room_when_it_is_empty() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with (
            world.client() as client,
            Producer(client, batch_bytes=4 * KIB, buffer_bytes=8 * KIB) as producer,
        ):
            assert producer.buffer_has_room()

    in_world(story)


def test_a_large_record_comes_to_its_turn_among_small_ones() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with (
            world.client() as client,
            Producer(client, batch_bytes=16 * KIB, buffer_bytes=64 * KIB) as producer,
        ):
            await producer.partitions_for("t")
            over = False

            async def send_small() -> None:
                while not over:
                    await producer.send("t", b"s" * KIB)

            small = [asyncio.ensure_future(send_small()) for _ in range(80)]
            await world.sleep(0.1)
            large = asyncio.ensure_future(producer.send("t", b"L" * 60 * KIB))
            await world.sleep(0)
            with pytest.raises(BufferFullError):
                producer.send_nowait("t", b"n" * KIB)
            assert not producer.buffer_has_room()
            await world.until(large.done, within_s=2)
            over = True
            await asyncio.gather(*small)

    in_world(story)
