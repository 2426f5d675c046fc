"""Interceptors of a producer that threads use."""

from __future__ import annotations

from typing import Any

import pytest

from streamkeep.blocking import (
    Producer,
    ProducerInterceptor,
    ProducerRecord,
    RecordMetadata,
)
from streamkeep.errors import (
    UnknownTopicError,
)
from streamkeep.testing import Cluster
from streamkeep_common.limits import KIB
from tests.unit.sdk.blocking_world import cluster, stored

__all__ = ["cluster"]

MANY = 400


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
