"""How producers end: by close, by cancellation, and with their client."""

from __future__ import annotations

import asyncio
import gc

import pytest

from streamkeep import Client, Producer
from streamkeep.errors import ClosedError
from tests.unit.sdk.world import World, in_world


async def lose_leader(world: World, client: Client, producer: Producer[bytes, bytes]) -> None:
    """The producer knows topic t, and that nobody leads its partition."""
    await producer.partitions_for("t")
    world.cluster.move_leader("t", 0, 0)
    await client.metadata.refresh()


def test_cancelling_the_wait_for_a_delivery_does_not_recall_the_record() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Producer(client) as producer:
            await producer.partitions_for("t")
            first, second = await producer.send("t", b"one"), await producer.send("t", b"two")

            async def wait() -> None:
                await first

            task = asyncio.ensure_future(wait())
            await asyncio.sleep(0)
            task.cancel()
            assert (await second).offset == 1
            assert (await first).offset == 0
        assert log.values() == [b"one", b"two"]

    in_world(story)


def test_close_delivers_what_is_buffered_and_nothing_can_be_sent_after() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client:
            producer = Producer(client, linger_ms=60_000)
            await producer.start()
            deliveries = [await producer.send("t", b"%d" % number) for number in range(10)]
            await producer.close()
            assert all(delivery.done() for delivery in deliveries)
            with pytest.raises(ClosedError):
                await producer.send("t", b"late")
            with pytest.raises(ClosedError):
                producer.send_nowait("t", b"late")
        assert len(log.values()) == 10

    in_world(story)


def test_close_with_a_time_limit_tells_what_it_could_not_deliver() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client:
            producer = Producer(client)
            await producer.start()
            await lose_leader(world, client, producer)
            delivery = await producer.send("t", b"x")
            await producer.close(timeout_ms=100)
            with pytest.raises(ClosedError):
                await delivery

    in_world(story)


def test_a_flush_that_waits_while_the_producer_is_closed_ends_with_it() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client:
            producer = Producer(client)
            await producer.start()
            await lose_leader(world, client, producer)
            delivery = await producer.send("t", b"v")
            flushing = asyncio.ensure_future(producer.flush())
            await world.sleep(0.5)
            closing = asyncio.ensure_future(producer.close())
            await world.sleep(0.5)
            assert not closing.done()
            world.cluster.move_leader("t", 0, 1)
            await asyncio.gather(flushing, closing)
            assert delivery.result().offset == 0

    in_world(story)


def test_a_cancelled_block_ends_soon_even_if_nothing_can_be_delivered() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client:
            delivery = None

            async def program() -> None:
                nonlocal delivery
                async with Producer(client) as producer:
                    await lose_leader(world, client, producer)
                    delivery = await producer.send("t", b"x")
                    await world.sleep(1_000)

            running = asyncio.ensure_future(program())
            await world.until(lambda: delivery is not None)
            running.cancel()
            began = client.clock.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert client.clock.monotonic() - began < 1.5
            assert delivery is not None and isinstance(delivery.exception(), ClosedError)

    in_world(story)


def test_a_send_that_waits_for_its_topic_while_the_producer_is_closed_is_told() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client:
            producer = Producer(client)
            await producer.start()
            world.fabric.cut_both("client", "coordinator")
            sending = asyncio.ensure_future(producer.send("t", b"x"))
            await world.sleep(1)
            await producer.close()
            world.fabric.heal()
            with pytest.raises(ClosedError):
                await sending

    in_world(story)


def test_what_a_closed_shared_client_left_undelivered_is_told_at_once() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        client = world.client()
        async with Producer(client) as producer:
            await (await producer.send("t", b"stored"))
            world.fabric.cut_both("client", "broker-1")
            waiting = await producer.send("t", b"on its way")
            await world.sleep(1)
            await client.close()
            with pytest.raises(ClosedError):
                async with asyncio.timeout(5):
                    await waiting
            with pytest.raises(ClosedError):
                await (await producer.send("t", b"too late"))

    in_world(story)


def test_a_forgotten_producer_tells_how_many_records_it_had_not_delivered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t", partitions=2)
        async with world.client() as client:
            producer = Producer(client)
            await producer.start()
            await (await producer.send("t", b"stored", partition=0))
            world.cluster.move_leader("t", 1, 0)
            await client.metadata.refresh()
            for _ in range(3):
                await producer.send("t", b"x", partition=1)
            sender = producer._sender
            assert sender is not None
            with pytest.warns(ResourceWarning, match="was not closed"):
                del producer
                await world.sleep(0.1)
                gc.collect()
            told = [record.getMessage() for record in caplog.records]
            assert told == ["3 records may be lost: their producer was not closed"]
            await sender.close()

    in_world(story)
