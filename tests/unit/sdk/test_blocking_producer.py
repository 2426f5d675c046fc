"""Sending from threads: what arrives, in which order, and what is refused."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from streamkeep.blocking import (
    Client,
    Producer,
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
from tests.unit.sdk.blocking_world import cluster, stored, values

__all__ = ["cluster"]

MANY = 400


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
