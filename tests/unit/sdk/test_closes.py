"""What is closed, whenever and however often that is cut short, leaves nothing running and nobody waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

import pytest

from streamkeep import Admin, Consumer, Producer
from streamkeep.errors import ClosedError
from tests.unit.sdk.world import World, in_world

STEPS = range(2, 10)
"""Passes of the event loop after which a close is cancelled."""


def left_running() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("streamkeep-")]


async def cut_short(closes: Iterable[Coroutine[Any, Any, None]], steps: int) -> None:
    """Begin them all, and cancel them after so many passes of the event loop."""
    closing = [asyncio.ensure_future(each) for each in closes]
    for _ in range(steps):
        await asyncio.sleep(0)
    for task in closing:
        task.cancel()
    await asyncio.wait(closing)


@pytest.mark.parametrize("steps", STEPS)
def test_a_producers_close_that_is_cancelled_leaves_no_record_undecided(steps: int) -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        producer = Producer(world.client())
        own = Producer("coordinator:7101", network=world.machines["client"].network, clock=world.clock)
        for each in (producer, own):
            await each.start()
            await each.partitions_for("t")
        world.kill_broker(1)
        deliveries = [await each.send("t", b"v") for each in (producer, own)]
        await world.sleep(0.5)
        await cut_short([each.close(timeout_ms=0) for each in (producer, own)], steps)
        assert [type(delivery.exception()) for delivery in deliveries] == [ClosedError] * 2
        await producer._client.close()
        await world.sleep(0.1)
        assert left_running() == []

    in_world(story)


@pytest.mark.parametrize("steps", STEPS)
def test_a_consumers_close_that_is_cancelled_leaves_nothing_running(steps: int) -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t", partitions=3)
        consumer = Consumer("coordinator:7101", network=world.machines["client"].network, clock=world.clock)
        await consumer.assign(await consumer.partitions_for("t"))
        await world.sleep(0.5)
        assert len(left_running()) >= 3
        await cut_short([consumer.close()], steps)
        await world.sleep(0.1)
        assert left_running() == []

    in_world(story, brokers=3)


def test_whatever_is_closed_says_so_and_may_be_closed_again() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client:
            producer, consumer = Producer(client), Consumer(client)
            await producer.start()
            await (await producer.send("t", b"v"))
            await consumer.assign([("t", 0)])
            for _ in range(2):
                await producer.close()
                await consumer.close()
            for use in (
                producer.start(),
                producer.send("t", b"v"),
                producer.send_many("t", [b"v"]),
                producer.flush(),
                producer.partitions_for("t"),
                consumer.assign([("t", 0)]),
                consumer.partitions_for("t"),
                consumer.seek(("t", 0), 0),
                consumer.end_offsets([("t", 0)]),
                anext(consumer),
            ):
                with pytest.raises(ClosedError):
                    await use
            with pytest.raises(ClosedError):
                producer.send_nowait("t", b"v")
        admin = Admin(world.client())
        await admin._client.close()
        for asked in (admin.describe_cluster(), admin.wait_for_brokers(1), admin.wait_until_ready("t")):
            with pytest.raises(ClosedError):
                await asked

    in_world(story)


def test_who_closes_what_is_being_closed_waits_for_the_same_end() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t", partitions=3)
        client, network = world.client(), world.machines["client"].network
        consumer = Consumer("coordinator:7101", network=network, clock=world.clock)
        producer = Producer("coordinator:7101", network=network, clock=world.clock)
        await producer.start()
        await (await producer.send("t", b"v"))
        await client.metadata.topic("t", timeout_s=5)
        await consumer.assign(await consumer.partitions_for("t"))
        await world.sleep(0.5)
        for each in (consumer, producer, client):
            closing = [asyncio.ensure_future(each.close()) for _ in range(3)]
            await asyncio.wait(closing, return_when=asyncio.FIRST_COMPLETED)
            for _ in range(3):
                await asyncio.sleep(0)
            assert all(task.done() for task in closing), type(each).__name__
        assert left_running() == []

    in_world(story, brokers=3)


def test_the_shortest_time_that_a_producer_is_given_to_close_counts() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client:
            producer = Producer(client)
            await producer.start()
            await producer.partitions_for("t")
            world.cluster.move_leader("t", 0, 0)
            await client.metadata.refresh()
            delivery = await producer.send("t", b"x")
            patient = asyncio.ensure_future(producer.close())
            await world.sleep(1)
            hasty = asyncio.ensure_future(producer.close(timeout_ms=500))
            patient_too = asyncio.ensure_future(producer.close(timeout_ms=60_000))
            await world.sleep(0.4)
            assert not (patient.done() or hasty.done() or patient_too.done())
            await world.sleep(0.2)
            assert patient.done() and hasty.done() and patient_too.done()
            assert isinstance(delivery.exception(), ClosedError)

    in_world(story)
