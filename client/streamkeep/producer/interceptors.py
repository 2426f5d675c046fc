"""What an application may do with every record on its way into a producer, and hear of it later (KIP-42)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from streamkeep.producer.delivery import Delivery, RecordMetadata, watch
from streamkeep.producer.record import ProducerRecord

_logger = logging.getLogger(__name__)

AnyRecord = ProducerRecord[Any, Any]


class ProducerInterceptor:
    """Sees what a producer is given; subclass it and give it as `Producer(interceptors=[...])`.

    Called in the event loop, in the order given; keep it short. An exception is logged and does not stop the
    stream: the record goes on as it was. For each `on_send` there is one `on_acknowledged` or `on_failed`,
    with the record that this interceptor returned, the very object.
    """

    def on_send(self, record: ProducerRecord[Any, Any]) -> ProducerRecord[Any, Any]:
        """A record, before it is encoded and its partition chosen. Return it or another in its place."""
        return record

    def on_acknowledged(self, record: ProducerRecord[Any, Any], metadata: RecordMetadata) -> None:
        """The record is stored, there."""

    def on_failed(self, record: ProducerRecord[Any, Any], error: BaseException) -> None:
        """It was not delivered, or not even buffered: the error is what the caller got, or its delivery."""


class Passage:
    """One record's way through the interceptors. `record` is what comes out."""

    __slots__ = ("_seen", "record")

    def __init__(self, interceptors: Sequence[ProducerInterceptor], record: AnyRecord) -> None:
        self._seen: list[tuple[ProducerInterceptor, AnyRecord]] = []
        for interceptor in interceptors:
            try:
                answer = interceptor.on_send(record)
                if not isinstance(answer, ProducerRecord):
                    raise TypeError(f"on_send has to return a ProducerRecord, not {type(answer).__name__}")
                record = answer
            except Exception:
                _logger.exception("%r failed at a record for '%s'", interceptor, record.topic)
            self._seen.append((interceptor, record))
        self.record = record

    def watch(self, delivery: Delivery) -> None:
        """Tell the interceptors what becomes of it."""
        if self._seen:
            watch(delivery, self._settled)

    def failed(self, error: BaseException) -> None:
        """It will not be delivered."""
        for interceptor, record in self._seen:
            try:
                interceptor.on_failed(record, error)
            except Exception:
                _logger.exception("%r failed when it heard of a failed record", interceptor)

    def _settled(self, delivery: Delivery) -> None:
        error = delivery.exception()
        if error is not None:
            self.failed(error)
            return
        metadata = delivery.result()
        for interceptor, record in self._seen:
            try:
                interceptor.on_acknowledged(record, metadata)
            except Exception:
                _logger.exception("%r failed when it heard of an acknowledged record", interceptor)
