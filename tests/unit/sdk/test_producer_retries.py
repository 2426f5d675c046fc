"""The producer over a simulated network: how it retries, follows leaders, and when it gives up."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep import Producer
from streamkeep.errors import (
    BatchTooLargeError,
    DeliveryTimeoutError,
    DiskFullError,
    InvalidTimestampError,
    NotEnoughReplicasError,
    StreamkeepError,
    UnknownTopicError,
)
from tests.unit.sdk.world import World, in_world


def test_retriable_errors_are_retried_in_order_and_never_surface() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Producer(client, batch_bytes=100) as producer:
            await (await producer.send("t", b"warm"))
            world.cluster.produce_errors.extend([DiskFullError() for _ in range(7)])
            deliveries = [await producer.send("t", b"%05d" % number) for number in range(200)]
            offsets = [(await delivery).offset for delivery in deliveries]
            assert offsets == list(range(1, 201))
        assert log.values()[1:] == [b"%05d" % number for number in range(200)]

    in_world(story)


def test_too_few_replicas_are_waited_for_and_named_when_it_takes_too_long() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        refusal = NotEnoughReplicasError("t-0 has 1 replica in sync, and min_insync_replicas is 2")
        async with world.client() as client, Producer(client, delivery_timeout_ms=2_000) as producer:
            world.cluster.produce_errors.extend([refusal] * 3)
            assert (await (await producer.send("t", b"waits"))).offset == 0
            world.cluster.produce_errors.extend([refusal] * 100)
            with pytest.raises(NotEnoughReplicasError, match=r"stored nothing.*min_insync_replicas is 2"):
                await (await producer.send("t", b"too late"))
        assert log.values() == [b"waits"]

    in_world(story)


def test_a_record_that_may_be_stored_is_not_said_to_be_refused() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Producer(client, delivery_timeout_ms=2_000) as producer:
            world.cluster.swallow_results = 1
            delivery = await producer.send("t", b"stored")
            await world.until(lambda: log.values() == [b"stored"])
            refusal = NotEnoughReplicasError("t-0 has 1 replica in sync, and min_insync_replicas is 2")
            world.cluster.produce_errors.extend([refusal] * 100)
            world.fabric.break_connections("client", "broker-1")
            with pytest.raises(DeliveryTimeoutError, match="min_insync_replicas is 2") as raised:
                await delivery
            assert isinstance(raised.value.__cause__, NotEnoughReplicasError)

    in_world(story)


def test_a_lost_answer_is_asked_for_again_and_nothing_is_stored_twice() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Producer(client, batch_bytes=100) as producer:
            world.cluster.swallow_results = 3
            deliveries = [await producer.send("t", b"%05d" % number) for number in range(100)]
            assert [(await delivery).offset for delivery in deliveries] == list(range(100))
        assert log.values() == [b"%05d" % number for number in range(100)]

    in_world(story)


def test_the_producer_follows_a_leader_that_moves() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Producer(client) as producer:
            await (await producer.send("t", b"one"))
            world.cluster.move_leader("t", 0, 2)
            began = client.clock.monotonic()
            await (await producer.send("t", b"two"))
            assert client.clock.monotonic() - began < 0.1, "the hint in NOT_LEADER is enough"
        assert log.values() == [b"one", b"two"]

    in_world(story, brokers=2)


def test_a_killed_leader_is_left_as_soon_as_another_leads() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Producer(client) as producer:
            await (await producer.send("t", b"one"))
            world.kill_broker(1)
            delivery = await producer.send("t", b"two")
            await world.sleep(0.3)
            world.cluster.move_leader("t", 0, 2)
            began = client.clock.monotonic()
            await delivery
            assert client.clock.monotonic() - began < 0.6
        assert log.values() == [b"one", b"two"]

    in_world(story, brokers=2)


def test_a_silent_leader_is_left_as_soon_as_another_leads() -> None:
    """A stopped process keeps its connections open; only silence tells."""

    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Producer(client) as producer:
            await (await producer.send("t", b"one"))
            world.fabric.cut_both("client", "broker-1")
            delivery = await producer.send("t", b"two")
            world.cluster.move_leader("t", 0, 2)
            began = client.clock.monotonic()
            await delivery
            assert client.clock.monotonic() - began < 1.6
        assert log.values() == [b"one", b"two"]

    in_world(story, brokers=2)


def test_a_record_that_is_not_acknowledged_in_time_fails_and_the_next_ones_go_on() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Producer(client, delivery_timeout_ms=2_000) as producer:
            await (await producer.send("t", b"one"))
            world.cluster.move_leader("t", 0, 0)
            lost = await producer.send("t", b"two")
            began = client.clock.monotonic()
            with pytest.raises(DeliveryTimeoutError, match="t-0"):
                await lost
            assert 1.9 < client.clock.monotonic() - began < 2.5
            world.cluster.move_leader("t", 0, 1)
            assert (await (await producer.send("t", b"three"))).offset == 1
        assert log.values() == [b"one", b"three"]

    in_world(story)


def test_what_was_stored_behind_a_record_given_up_is_not_stored_again() -> None:
    """Both were stored but not answered. The elder is given up; the younger is asked about, not sent anew."""

    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Producer(client, delivery_timeout_ms=3_000) as producer:
            await (await producer.send("t", b"one"))
            world.fabric.cut("broker-1", "client")
            elder = await producer.send("t", b"elder")
            await world.until(lambda: len(log.values()) == 2)
            await world.sleep(2)
            younger = await producer.send("t", b"younger")
            await world.until(lambda: len(log.values()) == 3)
            with pytest.raises(DeliveryTimeoutError):
                await elder
            world.fabric.heal()
            world.fabric.break_connections("client", "broker-1")
            assert (await younger).offset == 2
            assert (await (await producer.send("t", b"last"))).offset == 3
        assert log.values() == [b"one", b"elder", b"younger", b"last"]

    in_world(story)


def test_a_refused_record_fails_alone() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Producer(client, batch_bytes=10) as producer:
            await (await producer.send("t", b"warm"))
            world.cluster.produce_errors.append(InvalidTimestampError("too late"))
            deliveries = [await producer.send("t", b"%06d" % number) for number in range(5)]
            with pytest.raises(InvalidTimestampError, match="too late"):
                await deliveries[0]
            assert [(await delivery).offset for delivery in deliveries[1:]] == [1, 2, 3, 4]
        assert log.values() == [b"warm", *(b"%06d" % number for number in range(1, 5))]

    in_world(story)


def test_a_batch_too_large_for_the_topic_is_split() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Producer(client) as producer:
            world.cluster.produce_errors.extend([BatchTooLargeError(), BatchTooLargeError()])
            sent = await producer.send_many("t", [b"%d" % number for number in range(8)])
            await sent
            assert [delivery.result().offset for delivery in sent] == list(range(8))
            world.cluster.produce_errors.append(BatchTooLargeError("one record of many bytes"))
            with pytest.raises(BatchTooLargeError):
                await (await producer.send("t", b"alone"))
        assert log.values() == [b"%d" % number for number in range(8)]

    in_world(story)


def test_a_deleted_topic_fails_what_waits_for_it_and_its_successor_gets_nothing_old() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Producer(client) as producer:
            await (await producer.send("t", b"old"))
            world.cluster.delete_topic("t")
            (log,) = world.cluster.create_topic("t")
            with pytest.raises(UnknownTopicError, match="was deleted"):
                await (await producer.send("t", b"lost"))
            assert (await (await producer.send("t", b"new"))).offset == 0
        assert log.values() == [b"new"]

    in_world(story)


@pytest.mark.parametrize("seed", range(12))
def test_exactly_once_and_in_order_through_bad_weather(seed: int) -> None:
    async def story(world: World) -> None:
        logs = world.cluster.create_topic("t", partitions=3)
        world.fabric.weather.break_odds = 0.02
        world.fabric.weather.spike_odds = 0.05
        acknowledged: list[tuple[int, bytes]] = []
        async with world.client() as client, Producer(client, batch_bytes=200) as producer:

            async def write(partition: int) -> None:
                deliveries = []
                for number in range(150):
                    value = b"%d-%05d" % (partition, number)
                    deliveries.append((value, await producer.send("t", value, partition=partition)))
                    await world.sleep(world.rng.random() * 0.02)
                for value, delivery in deliveries:
                    metadata = await delivery
                    acknowledged.append((partition, value))
                    if metadata.offset >= 0:
                        assert logs[partition].values()[metadata.offset] == value

            async def stir() -> None:
                while True:
                    await world.sleep(world.rng.random() * 0.5)
                    world.cluster.move_leader("t", world.rng.randrange(3), world.rng.choice([0, 1, 2]))
                    if world.rng.random() < 0.3:
                        world.fabric.break_connections("client", f"broker-{world.rng.choice([1, 2])}")

            stirring = asyncio.ensure_future(stir())
            writing = asyncio.gather(*(write(partition) for partition in range(3)))
            await world.sleep(5)
            stirring.cancel()
            for number in range(3):
                world.cluster.move_leader("t", number, 1 + number % 2)
            await writing
        assert len(acknowledged) == 450
        for partition, log in enumerate(logs):
            assert log.values() == [b"%d-%05d" % (partition, number) for number in range(150)]

    in_world(story, seed=seed, brokers=2)


def test_errors_are_always_the_taxonomy_never_the_transport() -> None:
    async def story(world: World) -> None:
        async with world.client("nowhere:1,coordinator:9", request_timeout_ms=3_000) as client:
            producer = Producer(client)
            await producer.start()
            with pytest.raises(StreamkeepError, match="no coordinator") as caught:
                await producer.send("t", b"x")
            assert caught.value.retriable
            await producer.close()

    in_world(story)
