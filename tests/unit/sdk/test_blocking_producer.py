"""Sending from threads: what arrives, in which order, what is refused, and what Ctrl-C leaves behind."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest

from streamkeep.blocking import (
    Client,
    Consumer,
    Producer,
    ProducerInterceptor,
    ProducerRecord,
    Record,
    RecordMetadata,
)
from streamkeep.errors import (
    BatchTooLargeError,
    BufferFullError,
    ClosedError,
    RecordEncodeError,
    UnknownPartitionError,
    UnknownTopicError,
)
from streamkeep.serializers import JSON, STR
from streamkeep.testing import Cluster
from streamkeep_common.limits import KIB
from tests.unit.sdk.blocking_world import cluster, ctrl_c_when, main_thread_waits

__all__ = ["cluster"]

MANY = 400


def stored(cluster: Cluster, topic: str) -> list[Record]:
    """By partition, then by offset."""
    with Consumer(cluster.bootstrap) as consumer:
        topic_partitions = consumer.partitions_for(topic)
        consumer.assign(topic_partitions)
        records = list(consumer.records(until=consumer.end_offsets(topic_partitions)))
    return sorted(records, key=lambda record: (record.partition, record.offset))


def values(cluster: Cluster, topic: str) -> list[bytes | None]:
    return [record.value for record in stored(cluster, topic)]


def test_a_delivery_shows_what_is_known_of_its_record(cluster: Cluster) -> None:
    topic = cluster.topic()
    with Producer(cluster.bootstrap, linger_ms=60_000) as producer:
        producer.partitions_for(topic)
        delivery = producer.send(topic, b"v")
        assert repr(delivery) == f"<Delivery to {topic}: on its way, its result() is its RecordMetadata>"
        stored = delivery.result(timeout_ms=60_000)
        assert repr(delivery) == f"<Delivery to {topic}: {stored!r}>"


def test_a_record_arrives_whole_and_its_place_is_told(cluster: Cluster) -> None:
    topic = cluster.topic(partitions=3)
    with Producer(cluster.bootstrap) as producer:
        delivery = producer.send(topic, b"v", key=b"k", headers={"h": b"1"}, timestamp_ms=42, partition=2)
        metadata = delivery.result(timeout_ms=60_000)
        assert (metadata.topic, metadata.partition, metadata.offset, metadata.timestamp_ms) == (
            topic,
            2,
            0,
            42,
        )
        assert delivery.done() and delivery.exception() is None
    (record,) = stored(cluster, topic)
    assert (record.key, record.value, record.timestamp_ms, record.partition) == (b"k", b"v", 42, 2)
    assert list(record.headers) == [("h", b"1")]


def test_records_of_all_kinds_keep_their_order_and_their_own_columns(cluster: Cluster) -> None:
    topic = cluster.topic()
    with Producer(cluster.bootstrap) as producer:
        for number in range(MANY):
            value = b"%d" % number
            match number // 5 % 7:
                case 0:
                    producer.send(topic, value)
                case 1:
                    producer.send(topic, value, key=b"k")
                case 2:
                    producer.send(topic, value, headers=[("n", value)])
                case 3:
                    producer.send(topic, value, timestamp_ms=number)
                case 4:
                    producer.send(topic, value, partition=0)
                case 5:
                    producer.send(topic, value, key=b"k", timestamp_ms=number)
                case _:
                    producer.send_many(topic, [value], keys=[b"m"], headers=[{"n": value}], timestamps_ms=7)
    records = stored(cluster, topic)
    assert [record.value for record in records] == [b"%d" % number for number in range(MANY)]
    for number, record in enumerate(records):
        kind = number // 5 % 7
        assert record.key == {1: b"k", 5: b"k", 6: b"m"}.get(kind), number
        assert list(record.headers) == ([("n", b"%d" % number)] if kind in {2, 6} else []), number
        if kind in {3, 5, 6}:
            assert record.timestamp_ms == (7 if kind == 6 else number), number


def test_each_of_many_threads_keeps_its_order(cluster: Cluster) -> None:
    topic = cluster.topic()
    with Producer(cluster.bootstrap, buffer_bytes=64 * KIB, batch_bytes=16 * KIB) as producer:

        def send(name: int) -> None:
            for number in range(MANY // 4):
                producer.send(topic, b"%d %d" % (name, number), key=b"k" if name % 2 else None)

        threads = [threading.Thread(target=send, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    seen: dict[bytes, list[int]] = {}
    for value in values(cluster, topic):
        assert value is not None
        name, number = value.split()
        seen.setdefault(name, []).append(int(number))
    assert seen == {b"%d" % name: list(range(MANY // 4)) for name in range(4)}


def test_columns_may_be_larger_than_the_buffer(cluster: Cluster) -> None:
    topic = cluster.topic()
    with Producer(cluster.bootstrap, buffer_bytes=16 * KIB, batch_bytes=16 * KIB) as producer:
        deliveries = producer.send_many(topic, [b"%05d" % number * 20 for number in range(2_000)])
        deliveries.result()
        assert deliveries.done() and deliveries.failures() == [] and len(deliveries) == 2_000
        assert [delivery.result().offset for delivery in deliveries[-2:]] == [1_998, 1_999]


def test_a_mistake_is_raised_where_it_is_made_and_leaves_nothing(cluster: Cluster) -> None:
    topic = cluster.topic()
    with Producer(cluster.bootstrap) as producer:
        mistakes: list[tuple[type[Exception], dict[str, Any]]] = [
            (TypeError, {"value": "text"}),
            (TypeError, {"key": 1}),
            (TypeError, {"headers": {"h": "text"}}),
            (ValueError, {"timestamp_ms": -1}),
            (UnknownPartitionError, {"partition": 9}),
            (UnknownTopicError, {"topic": "nowhere"}),
            (BatchTooLargeError, {"value": bytes(80 << 20)}),
        ]
        for error, wrong in mistakes:
            with pytest.raises(error):
                producer.send(**{"topic": topic, "value": b"v", **wrong})
        with pytest.raises(ValueError, match="keys"):
            producer.send_many(topic, [b"v", b"v"], keys=[b"k"])
        with pytest.raises(UnknownTopicError):
            producer.send_many("nowhere", [b"v"])
        with pytest.raises(BufferFullError):
            producer.send_nowait("unused-so-far", b"v")
    assert values(cluster, topic) == []


def test_who_does_not_wait_is_told_that_there_is_no_room(cluster: Cluster) -> None:
    topic = cluster.topic()
    with Producer(cluster.bootstrap, buffer_bytes=16 * KIB, batch_bytes=16 * KIB) as producer:
        assert producer.partitions_for(topic) == 1 and producer.buffer_has_room()
        sent = 0
        with pytest.raises(BufferFullError):
            while True:
                producer.send_nowait(topic, bytes(200))
                sent += 1
        producer.send(topic, b"last")
    assert len(values(cluster, topic)) == sent + 1


def test_what_the_producer_was_not_ready_for(cluster: Cluster) -> None:
    topic = cluster.topic()
    producer = Producer(cluster.bootstrap)
    with pytest.raises(RuntimeError, match="with 'with'"):
        producer.send(topic, b"v")
    producer.start()
    late = producer.send(topic, b"v")
    producer.close()
    producer.close()
    assert late.result().offset == 0
    for call in (producer.start, producer.flush, lambda: producer.send(topic, b"v")):
        with pytest.raises(ClosedError):
            call()
    assert values(cluster, topic) == [b"v"]


def test_a_timeout_ends_the_wait_and_not_the_delivery() -> None:
    with Cluster() as cluster:
        topic = cluster.topic()
        with Producer(cluster.bootstrap) as producer:
            producer.send(topic, b"0").result()
            cluster.kill_broker(1)
            delivery, many = producer.send(topic, b"1"), producer.send_many(topic, [b"2"])
            with pytest.raises(TimeoutError, match="10 ms"):
                delivery.result(timeout_ms=10)
            with pytest.raises(TimeoutError, match="10 ms"):
                many.result(timeout_ms=10)
            assert not delivery.done() and delivery.exception() is None
            with ctrl_c_when(main_thread_waits):
                delivery.result()
            with ctrl_c_when(main_thread_waits):
                producer.flush()
            cluster.start_broker(1)
            producer.flush()
            assert delivery.done() and delivery.result().offset == 1
        assert values(cluster, topic) == [b"0", b"1", b"2"]


def test_ctrl_c_leaves_a_wait_for_room_and_nothing_that_was_sent_is_lost() -> None:
    with Cluster() as cluster:
        topic = cluster.topic()
        with Producer(cluster.bootstrap, buffer_bytes=32 * KIB, batch_bytes=32 * KIB) as producer:
            producer.send(topic, b"first").result()
            cluster.kill_broker(1)
            sent = [b"first"]
            with ctrl_c_when(main_thread_waits):
                while True:
                    value = b"%d" % len(sent) * 20
                    producer.send(topic, value)
                    sent.append(value)
            with ctrl_c_when(main_thread_waits):
                producer.send_many(topic, [bytes(1_000)] * 100)
            cluster.start_broker(1)
            producer.send(topic, b"last").result()
        found = values(cluster, topic)
        assert [value for value in found if value != bytes(1_000)] == [*sent, b"last"]


def test_what_close_gives_up_fails() -> None:
    with Cluster() as cluster:
        topic = cluster.topic()
        producer = Producer(cluster.bootstrap, buffer_bytes=32 * KIB, batch_bytes=32 * KIB)
        producer.start()
        producer.send(topic, b"v").result()
        cluster.kill_broker(1)
        deliveries = [producer.send(topic, bytes(1_000)) for _ in range(33)]
        producer.close(timeout_ms=10)
        for delivery in deliveries:
            assert isinstance(delivery.exception(), ClosedError)
            with pytest.raises(ClosedError):
                delivery.result()


def test_columns_that_are_being_taken_when_the_producer_is_closed_are_refused() -> None:
    with Cluster() as cluster:
        topic = cluster.topic()
        producer = Producer(cluster.bootstrap, buffer_bytes=32 * KIB, batch_bytes=32 * KIB)
        producer.start()
        producer.send(topic, b"v").result()
        cluster.kill_broker(1)

        def close() -> None:
            while producer.metrics().buffer_used_bytes < 30 * KIB:
                pass
            producer.close(timeout_ms=10)

        closing = threading.Thread(target=close)
        closing.start()
        with pytest.raises(ClosedError, match="may be stored"):
            producer.send_many(topic, [bytes(1_000)] * 100)
        closing.join()


def test_keys_and_values_are_encoded_before_anything_is_sent(cluster: Cluster) -> None:
    topic = cluster.topic()
    with Producer(cluster.bootstrap, key_serializer=STR, value_serializer=JSON) as producer:
        producer.send(topic, {"n": 1}, key="é")
        producer.send_many(topic, [[2], None], keys=["a", None])
        with pytest.raises(RecordEncodeError):
            producer.send(topic, object())
        with pytest.raises(RecordEncodeError):
            producer.send_many(topic, [1, object()])
    records = stored(cluster, topic)
    assert [(record.key, record.value) for record in records] == [
        ("é".encode(), b'{"n":1}'),
        (b"a", b"[2]"),
        (None, None),
    ]


class Listening(ProducerInterceptor):
    def __init__(self) -> None:
        self.told: list[tuple[bytes, str]] = []

    def on_send(self, record: ProducerRecord[Any, Any]) -> ProducerRecord[Any, Any]:
        return record.with_header("seen", b"1")

    def on_acknowledged(self, record: ProducerRecord[Any, Any], metadata: RecordMetadata) -> None:
        self.told.append((record.value, metadata.topic))

    def on_failed(self, record: ProducerRecord[Any, Any], error: BaseException) -> None:
        self.told.append((record.value, type(error).__name__))


def test_interceptors_see_every_record_and_hear_of_it_once(cluster: Cluster) -> None:
    topic, listening = cluster.topic(), Listening()
    with Producer(cluster.bootstrap, interceptors=[listening]) as producer:
        producer.send(topic, b"1")
        producer.send_many(topic, [b"2", b"3"]).result()
        with pytest.raises(UnknownTopicError):
            producer.send("nowhere", b"4")
    assert listening.told == [(b"1", topic), (b"2", topic), (b"3", topic), (b"4", "UnknownTopicError")]
    assert [list(record.headers) for record in stored(cluster, topic)] == [[("seen", b"1")]] * 3


class SendingAgain(ProducerInterceptor):
    """Does on the SDK's own thread what would wait there."""

    def __init__(self, cluster: Cluster, topic: str) -> None:
        self.producer = Producer(cluster.bootstrap, buffer_bytes=16 * KIB, batch_bytes=16 * KIB)
        self.producer.start()
        self.producer.partitions_for(topic)
        self.topic = topic
        self.refusal: RuntimeError | None = None

    def on_acknowledged(self, record: ProducerRecord[Any, Any], metadata: RecordMetadata) -> None:
        try:
            for _ in range(MANY):
                self.producer.send(self.topic, bytes(300))
        except RuntimeError as error:
            self.refusal = error


def test_the_thread_of_the_sdk_is_refused_a_wait_for_room_that_only_it_could_end(cluster: Cluster) -> None:
    topic = cluster.topic()
    again = SendingAgain(cluster, topic)
    with again.producer, Producer(cluster.bootstrap, interceptors=[again]) as producer:
        producer.send(topic, b"v").result(timeout_ms=60_000)
        producer.flush()
    assert "would wait for itself" in str(again.refusal)


def test_ctrl_c_just_before_the_first_of_many_records_ends_no_producer(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = cluster.topic()
    with Producer(cluster.bootstrap) as producer:
        producer.partitions_for(topic)
        queued = producer._staging._queued

        def strike(handover: Any) -> Any:
            queued(handover)
            raise KeyboardInterrupt

        for key in (b"k", None):
            monkeypatch.setattr(producer._staging, "_queued", strike)
            with pytest.raises(KeyboardInterrupt):
                producer.send(topic, b"struck", key=key)
            monkeypatch.undo()
            producer.send(topic, b"v", key=key).result(timeout_ms=60_000)
    assert values(cluster, topic) == [b"v", b"v"]


def test_what_is_counted_is_told(cluster: Cluster) -> None:
    topic = cluster.topic()
    with Producer(cluster.bootstrap) as producer:
        producer.send_many(topic, [b"1", b"2"]).result()
        assert producer.metrics().records_acknowledged == 2


def test_a_deleted_topic_fails_what_is_on_its_way_and_is_refused_then(cluster: Cluster) -> None:
    from streamkeep.blocking import Admin

    topic = cluster.topic()
    with Client(cluster.bootstrap) as client, Admin(client) as admin, Producer(client) as producer:
        producer.send(topic, b"v").result()
        admin.delete_topic(topic)
        with pytest.raises(UnknownTopicError):
            while True:
                producer.send(topic, b"v").result()
        with pytest.raises(UnknownTopicError):
            producer.send(topic, b"v").result()


def test_a_forgotten_close_is_said_and_delivers_all_the_same(cluster: Cluster) -> None:
    topic = cluster.topic()
    producer = Producer(cluster.bootstrap)
    producer.start()
    producer.send(topic, b"v")
    with pytest.warns(ResourceWarning, match="Producer object at .* was not closed"):
        del producer
        gc.collect()
    assert [record.value for record in cluster.wait_for_records(topic, 1)] == [b"v"]


def test_records_that_were_not_even_taken_over_before_the_end_are_counted_in_the_log(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    topic = cluster.topic()
    producer = Producer(cluster.bootstrap, batch_bytes=1_000, buffer_bytes=1_000)
    producer.start()
    producer.partitions_for(topic)
    cluster.stop_broker(1)
    try:
        sent = [producer.send(topic, b"x" * 900) for _ in range(3)]  # buffered, being taken over, staged
        producer.close(timeout_ms=1)
    finally:
        cluster.start_broker(1)
    assert all(isinstance(delivery.exception(), ClosedError) for delivery in sent)
    told = [record.getMessage().partition(": ")[0] for record in caplog.records]
    assert told.count(f"1 record for topic '{topic}' failed") == 2
    assert told.count(f"1 record for {topic}-0 failed") == 1
