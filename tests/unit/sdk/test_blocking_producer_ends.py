"""What Ctrl-C, timeouts and closes leave behind of a producer that threads use."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest

from streamkeep.blocking import (
    Producer,
)
from streamkeep.errors import (
    ClosedError,
)
from streamkeep.testing import Cluster
from streamkeep_common.limits import KIB
from tests.unit.sdk.blocking_world import cluster, ctrl_c_when, main_thread_waits, values

__all__ = ["cluster"]


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
