"""What interceptors see of records, what they may change, and that their failures stop nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import Any

import pytest

from streamkeep import (
    ConsumedBatch,
    Consumer,
    ConsumerInterceptor,
    Producer,
    ProducerInterceptor,
    ProducerRecord,
    RecordMetadata,
)
from streamkeep.errors import (
    BatchTooLargeError,
    ClosedError,
    RecordEncodeError,
    UnknownPartitionError,
    UnknownTopicError,
)
from streamkeep.serializers import INT, STR
from tests.unit.sdk.world import World, in_world

AnyRecord = ProducerRecord[Any, Any]


class Recorder(ProducerInterceptor):
    """Writes down all that it hears, and marks each record."""

    def __init__(self, name: str = "r") -> None:
        self.name = name
        self.sent: list[AnyRecord] = []
        self.acknowledged: list[tuple[AnyRecord, RecordMetadata]] = []
        self.failed: list[tuple[AnyRecord, BaseException]] = []

    def on_send(self, record: AnyRecord) -> AnyRecord:
        marked = record.with_header("seen-by", self.name.encode())
        self.sent.append(marked)
        return marked

    def on_acknowledged(self, record: AnyRecord, metadata: RecordMetadata) -> None:
        self.acknowledged.append((record, metadata))

    def on_failed(self, record: AnyRecord, error: BaseException) -> None:
        self.failed.append((record, error))

    def outcomes(self) -> int:
        return len(self.acknowledged) + len(self.failed)


class Broken(ProducerInterceptor):
    def on_send(self, record: AnyRecord) -> AnyRecord:
        raise RuntimeError("on_send")

    def on_acknowledged(self, record: AnyRecord, metadata: RecordMetadata) -> None:
        raise RuntimeError("on_acknowledged")

    def on_failed(self, record: AnyRecord, error: BaseException) -> None:
        raise RuntimeError("on_failed")


class Forgetful(ProducerInterceptor):
    def on_send(self, record: AnyRecord) -> AnyRecord:
        return None  # type: ignore[return-value]


class Diverting(ProducerInterceptor):
    """Sends odd numbers elsewhere, a day later."""

    def on_send(self, record: AnyRecord) -> AnyRecord:
        return (
            dataclasses.replace(record, topic="odd", partition=0, timestamp_ms=86_400_000)
            if record.value % 2
            else record
        )


def test_each_record_goes_through_all_in_order_and_its_outcome_is_told_to_each() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        first, second = Recorder("1"), Recorder("2")
        async with world.client() as client:
            async with Producer(client, key_serializer=INT, interceptors=[first, second]) as producer:
                await producer.send("t", b"a", key=1, headers={"h": b"x"})
                await producer.send("t", b"b")
                producer.send_nowait("t", b"c", headers=[("h", b"y")])
                await producer.send_many("t", [b"d", b"e"], keys=[4, 5], timestamps_ms=[40, 50])
            async with Consumer(client) as consumer:
                await consumer.assign([("t", 0)])
                records = [await anext(consumer) for _ in range(5)]
        assert [r.value for r in records] == [b"a", b"b", b"c", b"d", b"e"]
        assert list(records[0].headers) == [("h", b"x"), ("seen-by", b"1"), ("seen-by", b"2")]
        assert [r.timestamp_ms for r in records[3:]] == [40, 50]
        assert first.sent[0].key == 1, "before it is encoded"
        for recorder in (first, second):
            assert [metadata.offset for _, metadata in recorder.acknowledged] == [0, 1, 2, 3, 4]
            told = [record for record, _ in recorder.acknowledged]
            assert all(a is b for a, b in zip(told, recorder.sent, strict=True)), "the very objects"
            assert recorder.failed == []

    in_world(story)


def test_a_failing_interceptor_is_logged_and_the_record_goes_on_as_it_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        recorder = Recorder()
        async with (
            world.client() as client,
            Producer(
                client,
                interceptors=[Broken(), Forgetful(), recorder],
                batch_bytes=100,
                buffer_bytes=100,
            ) as producer,
        ):
            assert (await (await producer.send("t", b"a"))).offset == 0
            with pytest.raises(BatchTooLargeError):
                await producer.send("t", bytes(200))
        assert log.values() == [b"a"]
        assert len(recorder.acknowledged) == len(recorder.failed) == 1

    with caplog.at_level(logging.ERROR, "streamkeep.producer.interceptors"):
        in_world(story)
    told = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert "on_send" in told and "on_acknowledged" in told and "on_failed" in told
    assert "on_send has to return a ProducerRecord, not NoneType" in told


def test_what_was_not_buffered_is_told_as_failed() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        recorder = Recorder()
        async with (
            world.client(request_timeout_ms=300) as client,
            Producer(
                client, value_serializer=STR, interceptors=[recorder], batch_bytes=100, buffer_bytes=100
            ) as producer,
        ):
            with pytest.raises(RecordEncodeError):
                await producer.send("t", 1)  # type: ignore[arg-type]
            with pytest.raises(RecordEncodeError):
                await producer.send_many("t", ["fine", 2])  # type: ignore[list-item]
            with pytest.raises(UnknownTopicError):
                await producer.send("nowhere", "v")
            with pytest.raises(BatchTooLargeError):
                await producer.send_many("t", ["fine", "v" * 200])
        kinds = [type(error) for _, error in recorder.failed]
        assert kinds == [
            RecordEncodeError,
            RecordEncodeError,
            RecordEncodeError,
            UnknownTopicError,
            BatchTooLargeError,
            BatchTooLargeError,
        ]
        assert recorder.acknowledged == []

    in_world(story)


def test_a_send_that_is_cancelled_while_it_waits_is_told_as_failed() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        recorder = Recorder()
        async with (
            world.client() as client,
            Producer(client, interceptors=[recorder], batch_bytes=100, buffer_bytes=100) as producer,
        ):
            await producer.send("t", bytes(50))
            waiting = asyncio.ensure_future(producer.send("t", bytes(50)))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert [type(error) for _, error in recorder.failed] == [asyncio.CancelledError]
        assert len(recorder.acknowledged) == 1

    in_world(story)


def test_what_was_buffered_and_never_delivered_is_told_once() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        recorder = Recorder()
        async with world.client() as client:
            producer = Producer(client, interceptors=[recorder])
            await producer.start()
            await producer.partitions_for("t")
            world.kill_broker(1)
            for _ in range(3):
                await producer.send("t", b"v")
            await producer.close(timeout_ms=100)
        assert [type(error) for _, error in recorder.failed] == [ClosedError] * 3
        assert recorder.acknowledged == []

    in_world(story)


def test_columns_may_be_diverted_record_by_record() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t", partitions=3)
        (odd,) = world.cluster.create_topic("odd")
        recorder = Recorder()
        async with (
            world.client() as client,
            Producer(client, value_serializer=INT, interceptors=[Diverting(), recorder]) as producer,
        ):
            keys = [b"k%d" % number for number in range(100)]
            sent = await producer.send_many("t", list(range(100)), keys=keys)
            await sent
            for number, delivery in enumerate(sent):
                metadata = delivery.result()
                assert metadata.topic == ("odd" if number % 2 else "t")
                if number % 2:
                    assert (metadata.offset, metadata.timestamp_ms) == (number // 2, 86_400_000)
            assert await producer.send_many("t", []) is not None
        assert odd.values() == [INT.encode(number) for number in range(1, 100, 2)]
        assert recorder.outcomes() == 100
        assert {record.value: metadata.topic for record, metadata in recorder.acknowledged} == {
            number: "odd" if number % 2 else "t" for number in range(100)
        }

    in_world(story)


class Placing(ProducerInterceptor):
    """Sends records to where their values say, if they say something."""

    def __init__(self, places: dict[bytes, tuple[str, int]]) -> None:
        self.places = places

    def on_send(self, record: AnyRecord) -> AnyRecord:
        topic, partition = self.places.get(record.value, (record.topic, record.partition))
        return dataclasses.replace(record, topic=topic, partition=partition)


@pytest.mark.parametrize(
    ("place", "error"), [(("nowhere", 0), UnknownTopicError), (("t", 9), UnknownPartitionError)]
)
def test_of_columns_nothing_is_sent_if_one_record_has_nowhere_to_go(
    place: tuple[str, int], error: type[Exception]
) -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        recorder = Recorder()
        async with (
            world.client() as client,
            Producer(client, interceptors=[Placing({b"b": place}), recorder]) as producer,
        ):
            with pytest.raises(error):
                await producer.send_many("t", [b"a", b"b", b"c"])
        assert log.values() == []
        assert [type(told) for _, told in recorder.failed] == [error] * 3

    in_world(story)


def test_records_that_are_given_a_partition_keep_their_order_among_those_of_its_keys() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        placing = Placing({b"b": ("t", 0), b"d": ("t", 0)})
        async with world.client() as client, Producer(client, interceptors=[placing]) as producer:
            values = [b"a", b"b", b"c", b"d", b"e"]
            await (await producer.send_many("t", values, keys=[b"k", b"k", b"k", None, None]))
        assert log.values() == values

    in_world(story)


class Filtering(ConsumerInterceptor):
    """Leaves out all but the records whose value it keeps, and remembers what it was shown."""

    def __init__(self, *kept: str) -> None:
        self.kept = kept
        self.shown: list[Any] = []

    def on_consume(self, batch: ConsumedBatch[Any, Any]) -> ConsumedBatch[Any, Any]:
        self.shown += batch.values
        places = [index for index, value in enumerate(batch.values) if value in self.kept]
        return ConsumedBatch(
            batch.topic_partition,
            offsets=[batch.offsets[i] for i in places],
            timestamps_ms=[batch.timestamps_ms[i] for i in places],
            keys=None,
            values=[batch.values[i] for i in places],
            headers={},
            leader_epoch=batch.leader_epoch,
            next_offset=batch.next_offset,
            size_bytes=batch.size_bytes,
        )


class BrokenConsumer(ConsumerInterceptor):
    def on_consume(self, batch: ConsumedBatch[Any, Any]) -> ConsumedBatch[Any, Any]:
        raise RuntimeError("on_consume")


def test_a_consumer_interceptor_sees_each_record_once_and_may_leave_some_out() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        filtering = Filtering("2", "5", "8")
        async with world.client() as client:
            async with Producer(client) as producer:
                for start in (0, 3, 6):
                    values = [b"%d" % number for number in range(start, start + 3)]
                    await (await producer.send_many("t", values))
            async with Consumer(client, value_serializer=STR, interceptors=[filtering]) as consumer:
                await consumer.assign([("t", 0)])
                first = await anext(consumer)
                assert (first.value, first.offset) == ("2", 2)
                consumer.pause(("t", 0))
                consumer.resume(("t", 0))
                assert [r.value async for r in consumer.records(until={("t", 0): 9})] == ["5", "8"]
                assert consumer.position(("t", 0)) == 9
        assert filtering.shown == [str(number) for number in range(9)]

    in_world(story)


def test_reading_ends_at_its_end_where_an_interceptor_leaves_out_everything() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client:
            async with Producer(client) as producer:
                await producer.send_many("t", [b"a", b"b"])
            async with Consumer(client, interceptors=[Filtering()]) as consumer:
                await consumer.assign([("t", 0)])
                assert [b async for b in consumer.batches(until={("t", 0): 2})] == []

    in_world(story)


def test_a_failing_consumer_interceptor_is_logged_and_the_batch_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client:
            async with Producer(client) as producer:
                await producer.send("t", b"a")
            async with Consumer(client, interceptors=[BrokenConsumer()]) as consumer:
                await consumer.assign([("t", 0)])
                assert (await anext(consumer)).value == b"a"

    with caplog.at_level(logging.ERROR, "streamkeep.consumer.interceptors"):
        in_world(story)
    assert "failed at a batch of t-0" in caplog.text
