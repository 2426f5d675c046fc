"""The producer over a simulated network: what it delivers, how it retries, and when it gives up."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep import Producer
from streamkeep.errors import (
    BatchTooLargeError,
    BufferFullError,
    ClosedError,
    DeliveryTimeoutError,
    DiskFullError,
    InvalidTimestampError,
    InvalidTopicNameError,
    NotEnoughReplicasError,
    StreamkeepError,
    UnknownPartitionError,
    UnknownTopicError,
)
from streamkeep_common.limits import KIB, MAX_RECORDS_PER_BATCH
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


def test_records_of_next_to_nothing_do_not_fill_a_batch_with_more_than_it_may_have() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        count = MAX_RECORDS_PER_BATCH + 1
        async with world.client() as client, Producer(client) as producer:
            await (await producer.send_many("t", [b""] * count))
        assert len(log.values()) == count

    in_world(story)


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
            await producer.partitions_for("t")
            world.cluster.move_leader("t", 0, 0)
            await client.metadata.refresh()
            delivery = await producer.send("t", b"x")
            await producer.close(timeout_ms=100)
            with pytest.raises(ClosedError):
                await delivery

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
            with pytest.raises(StreamkeepError, match="no coordinator at") as caught:
                await producer.send("t", b"x")
            assert caught.value.retriable
            await producer.close()

    in_world(story)


def test_a_cancelled_block_ends_soon_even_if_nothing_can_be_delivered() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client:
            delivery = None

            async def program() -> None:
                nonlocal delivery
                async with Producer(client) as producer:
                    await producer.partitions_for("t")
                    world.cluster.move_leader("t", 0, 0)
                    await client.metadata.refresh()
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
