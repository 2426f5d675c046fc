"""The long way into the queues: interceptors, then serializers, then as bytes.

Only producers that have either go it. Whatever a call was given is encoded and checked before anything of it
is buffered, and each record that an interceptor has seen is told of once: acknowledged or failed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from streamkeep.client import Client
from streamkeep.producer.accumulator import TopicBuffer
from streamkeep.producer.arguments import check_bytes
from streamkeep.producer.base import ProducerBase
from streamkeep.producer.columns import Columns, apart, columns_of
from streamkeep.producer.delivery import Deliveries, Delivery, Span
from streamkeep.producer.encoding import RecordEncoder
from streamkeep.producer.interceptors import Passage, ProducerInterceptor
from streamkeep.producer.options import ProducerOptions
from streamkeep.producer.record import ProducerRecord
from streamkeep.serializers import BYTES, Serializer
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import Network


class LongWay(ProducerBase):
    """See `Producer`, which adds what users call."""

    def __init__(
        self,
        bootstrap: str | Sequence[str] | Client,
        options: ProducerOptions,
        *,
        key_serializer: Serializer[Any],
        value_serializer: Serializer[Any],
        interceptors: Sequence[ProducerInterceptor],
        network: Network | None,
        clock: Clock | None,
        rng: random.Random | None,
    ) -> None:
        super().__init__(
            bootstrap,
            options,
            as_they_are=key_serializer is BYTES and value_serializer is BYTES and not interceptors,
            network=network,
            clock=clock,
            rng=rng,
        )
        self._encoder = RecordEncoder(key_serializer, value_serializer)
        self._interceptors = tuple(interceptors)

    async def _send_long(self, given: ProducerRecord[Any, Any]) -> Delivery:
        """As `send`."""
        passage = Passage(self._interceptors, given)
        try:
            record = self._encoder.record(passage.record)
            delivery = await self._append_or_wait(
                record.topic,
                record.value,
                record.key,
                headers=record.headers,
                timestamp_ms=record.timestamp_ms,
                partition=record.partition,
            )
        except BaseException as error:
            passage.failed(error)
            raise
        passage.watch(delivery)
        return delivery

    def _send_long_nowait(self, given: ProducerRecord[Any, Any]) -> Delivery:
        """As `send_nowait`."""
        passage = Passage(self._interceptors, given)
        try:
            record = self._encoder.record(passage.record)
            delivery = self._append_now(
                record.topic,
                record.value,
                record.key,
                headers=record.headers,
                timestamp_ms=record.timestamp_ms,
                partition=record.partition,
            )
        except BaseException as error:
            passage.failed(error)
            raise
        passage.watch(delivery)
        return delivery

    async def _send_many_long(self, given: Sequence[ProducerRecord[Any, Any]]) -> Deliveries:
        """As `send_many`, for records that interceptors see one by one, and may send elsewhere."""
        passages = [Passage(self._interceptors, record) for record in given]
        spans: list[Span] = []
        try:
            records = [self._encoder.record(passage.record, index) for index, passage in enumerate(passages)]
            for topic, partition, columns in await self._in_columns(records):
                await self._append_columns(topic, columns, partition, spans)
        except BaseException as error:
            _tell(passages, spans, error)
            raise
        _tell(passages, spans, None)
        return Deliveries(len(given), spans)

    async def _in_columns(
        self, records: Sequence[ProducerRecord[bytes, bytes]]
    ) -> list[tuple[str, int | None, Columns]]:
        """The records of each topic and partition, all of them checked, and their places too."""
        topics: dict[str, list[int]] = {}
        for index, record in enumerate(records):
            topics.setdefault(record.topic, []).append(index)
        places: list[tuple[str, int | None, list[int]]] = []
        for topic, indexes in topics.items():
            buffer = self._buffers.get(topic) or await self._open(topic)
            numbers = [_partition_of(records[index], buffer) for index in indexes]
            places += [(topic, number, [indexes[at] for at in found]) for number, found in apart(numbers)]
        now_ms = self._read_clock()
        return [
            (topic, number, columns_of([records[i] for i in found], found, now_ms, self._max_record_bytes))
            for topic, number, found in places
        ]


def _partition_of(record: ProducerRecord[bytes, bytes], buffer: TopicBuffer) -> int | None:
    """The record's own, or its key's; None if it may go to any. Raises UnknownPartitionError."""
    check_bytes("key", record.key)
    if record.partition is None:
        return None if record.key is None else buffer.partition_of(record.key)
    return buffer.queue_for(None, record.partition).partition


def _tell(passages: Sequence[Passage], spans: Sequence[Span], error: BaseException | None) -> None:
    """What was buffered has an outcome to wait for; the rest has failed."""
    left = dict(enumerate(passages))
    for span in spans:
        for at, index in enumerate(span.inputs, start=span.first):
            left.pop(index).watch(Delivery(span.receipt, at))
    for passage in left.values():
        assert error is not None, "all were buffered, or there is a reason"
        passage.failed(error)
