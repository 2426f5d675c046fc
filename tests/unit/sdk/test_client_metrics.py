"""The figures of producers and consumers: each record counts once, whatever happened to its batch."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from streamkeep import Consumer, Producer, TopicPartition
from streamkeep.errors import BatchTooLargeError, StreamkeepError
from streamkeep_proto.v1.records_pb2 import RecordBatch
from tests.unit.sdk.world import World, in_world


def test_a_producers_figures_add_up() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t", partitions=2)
        async with world.client() as client:
            producer = Producer(client, batch_bytes=1_000, buffer_bytes=50_000)
            assert producer.metrics().records_sent == 0 and producer.metrics().buffer_bytes == 50_000
            async with producer:
                for _ in range(3):
                    await producer.send_many("t", [bytes(96)] * 100)
                assert 0 < producer.metrics().buffer_used_bytes <= 50_000
                await producer.flush()
                metrics = producer.metrics()
            assert metrics.records_sent == metrics.records_acknowledged == 300
            assert metrics.bytes_sent == metrics.bytes_acknowledged == 30_000
            assert metrics.batches_sent == metrics.answers >= 30
            assert 0 < metrics.requests <= metrics.batches_sent
            assert metrics.batches_retried == metrics.records_failed == metrics.buffer_used_bytes == 0
            assert 0 < metrics.request_latency_ms <= metrics.answer_wait_max_ms < 1_000
            assert producer.metrics() == metrics, "they can be read after the end too"
            with pytest.raises(dataclasses.FrozenInstanceError):
                metrics.records_sent = 1  # type: ignore[misc]

    in_world(story)


def test_a_batch_that_is_sent_again_is_a_retry_and_no_new_records() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Producer(client) as producer:
            await (await producer.send("t", b"before"))
            world.kill_broker(1)
            delivery = await producer.send("t", b"v")
            await world.sleep(1)
            await world.start_broker(1)
            await delivery
            metrics = producer.metrics()
            assert (metrics.records_sent, metrics.records_acknowledged, metrics.batches_sent) == (2, 2, 2)

    in_world(story)


def test_what_failed_is_counted_as_failed() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Producer(client, delivery_timeout_ms=500) as producer:
            await producer.partitions_for("t")
            world.kill_broker(1)
            with pytest.raises(StreamkeepError):
                await (await producer.send("t", bytes(96)))
            metrics = producer.metrics()
            assert (metrics.records_failed, metrics.bytes_failed) == (1, 100)
            assert (metrics.records_acknowledged, metrics.buffer_used_bytes) == (0, 0)

    in_world(story)


def test_a_consumers_figures_follow_what_was_handed_out() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t", partitions=2)
        first, second = TopicPartition("t", 0), TopicPartition("t", 1)
        async with world.client() as client:
            async with Producer(client) as producer:
                for _ in range(3):
                    await (await producer.send_many("t", [b"v"] * 10, partition=0))
            async with Consumer(client, fetch_buffer_bytes=10_000) as consumer:
                empty = consumer.metrics()
                assert (empty.records, empty.lag, empty.fetch_buffer_bytes) == (0, {}, 10_000)
                await consumer.assign([first, second])
                await anext(consumer)
                await world.until(lambda: consumer.high_watermark(first) == 30)
                await world.until(lambda: consumer.metrics().fetch_buffer_used_bytes > 0)
                begun = consumer.metrics()
                assert (begun.records, begun.lag[first]) == (1, 29)
                consumer.pause(first)
                assert consumer.metrics().records == 1
                assert 0 < consumer.metrics().fetch_buffer_used_bytes <= 10_000
                consumer.resume(first)
                async for _ in consumer.records(until={first: 30}):
                    pass
                metrics = consumer.metrics()
                assert (metrics.records, metrics.lag[first], metrics.records_undecodable) == (30, 0, 0)
                assert metrics.bytes > 300 and metrics.batches >= 3
                assert metrics.fetch_buffer_used_bytes == 0
                await consumer.assign([second])
                assert consumer.metrics().records == 30 and list(consumer.metrics().lag) == [second]
            assert consumer.metrics().records == 30, "they can be read after the end too"

    in_world(story)


def test_records_that_were_dropped_were_not_handed_out() -> None:
    """A batch is taken as a whole; by a seek, an assign or the end some of it may never be seen."""

    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        first = TopicPartition("t", 0)
        async with world.client() as client:
            async with Producer(client) as producer:
                await (await producer.send_many("t", [b"v"] * 10))
            consumer = Consumer(client)
            await consumer.assign([first])
            for handed_out in (1, 2, 3):
                await anext(consumer)
                assert consumer.metrics().records == handed_out
                await consumer.seek(first, 0)
                assert consumer.metrics().records == handed_out
            await anext(consumer)
            await consumer.assign([first])
            assert consumer.metrics().records == 4
            await anext(consumer)
            await consumer.close()
            assert consumer.metrics().records == 5

    in_world(story)


def test_what_cannot_be_encoded_was_not_sent() -> None:
    """A record that compression does not make smaller may be larger than any batch."""

    def refuse(**_columns: Any) -> RecordBatch:
        raise BatchTooLargeError("it has no room")

    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Producer(client) as producer:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("streamkeep.producer.batch.encode_batch", refuse)
                with pytest.raises(BatchTooLargeError):
                    await (await producer.send("t", b"v"))
            metrics = producer.metrics()
            assert (metrics.records_failed, metrics.records_sent, metrics.requests) == (1, 0, 0)
            assert world.cluster.produce_requests == []

    in_world(story)
