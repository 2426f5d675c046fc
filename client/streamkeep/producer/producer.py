"""The producer that users hold: takes records of the types that its serializers write.

Bytes go the short way (`base.py`), all else the long one (`long_way.py`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Generic, Unpack, overload

from streamkeep.client import Client
from streamkeep.producer.arguments import HeadersArgument
from streamkeep.producer.columns import checked_columns
from streamkeep.producer.delivery import Deliveries, Delivery, Span
from streamkeep.producer.interceptors import ProducerInterceptor
from streamkeep.producer.long_way import LongWay
from streamkeep.producer.options import MAX_BATCH_BYTES, Compression, ProducerArguments, ProducerOptions
from streamkeep.producer.record import ProducerRecord, header_tuple, records_of
from streamkeep.serializers import BYTES, K, Serializer, V
from streamkeep_common.limits import MIB
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import Network


class Producer(LongWay, Generic[K, V]):
    """Writes records: each exactly once, in the order in which it was given, partition by partition.

    `bootstrap` names coordinators ("host:port", several with commas or as a list), or is a `Client` to share.

    key_serializer, value_serializer
                    what makes bytes of keys and values, see `streamkeep.serializers`; None stays None.
                    Default: bytes as they are, at no cost.
    interceptors    `ProducerInterceptor`s, which see every record on its way in and hear what becomes of it.
    linger_ms       longest wait, in ms, for more records while earlier ones are on their way; an idle broker
                    gets what there is at once (default 5).
    batch_bytes     a batch is sent at this size; up to 1 MiB (default).
    buffer_bytes    what may be buffered, sent or not, before `send` waits (default 64 MiB).
    compression     "none" (default), "gzip", "snappy", "lz4" or "zstd", of whole batches.
    delivery_timeout_ms
                    how long a record is retried, from when its batch was begun; then its delivery fails with
                    DeliveryTimeoutError, or with NotEnoughReplicasError if it was refused for that reason
                    each time and is in no log. No retriable error surfaces before (default 120000).
    max_in_flight   batches of one partition that may be unanswered, 1 to 5 (default 5).

    Acknowledged means stored durably on all in-sync replicas. Use it with `async with`, which delivers what
    is buffered before it ends (for at most a second if it is cancelled), or with `start` and `close`.
    """

    @overload
    def __init__(
        self: Producer[bytes, bytes],
        bootstrap: str | Sequence[str] | Client,
        **options: Unpack[ProducerArguments],
    ) -> None: ...
    @overload
    def __init__(
        self: Producer[K, bytes],
        bootstrap: str | Sequence[str] | Client,
        *,
        key_serializer: Serializer[K],
        **options: Unpack[ProducerArguments],
    ) -> None: ...
    @overload
    def __init__(
        self: Producer[bytes, V],
        bootstrap: str | Sequence[str] | Client,
        *,
        value_serializer: Serializer[V],
        **options: Unpack[ProducerArguments],
    ) -> None: ...
    @overload
    def __init__(
        self,
        bootstrap: str | Sequence[str] | Client,
        *,
        key_serializer: Serializer[K],
        value_serializer: Serializer[V],
        **options: Unpack[ProducerArguments],
    ) -> None: ...
    def __init__(
        self,
        bootstrap: str | Sequence[str] | Client,
        *,
        key_serializer: Serializer[Any] = BYTES,
        value_serializer: Serializer[Any] = BYTES,
        interceptors: Sequence[ProducerInterceptor] = (),
        linger_ms: float = 5,
        batch_bytes: int = MAX_BATCH_BYTES,
        buffer_bytes: int = 64 * MIB,
        compression: Compression = "none",
        delivery_timeout_ms: int = 120_000,
        max_in_flight: int = 5,
        network: Network | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        options = ProducerOptions(
            linger_ms=linger_ms,
            batch_bytes=batch_bytes,
            buffer_bytes=buffer_bytes,
            compression=compression,
            delivery_timeout_ms=delivery_timeout_ms,
            max_in_flight=max_in_flight,
        )
        super().__init__(
            bootstrap,
            options,
            key_serializer=key_serializer,
            value_serializer=value_serializer,
            interceptors=interceptors,
            network=network,
            clock=clock,
            rng=rng,
        )

    async def send(
        self,
        topic: str,
        value: V | None,
        *,
        key: K | None = None,
        headers: HeadersArgument | None = None,
        timestamp_ms: int | None = None,
        partition: int | None = None,
    ) -> Delivery:
        """Buffer one record; await the returned `Delivery` for its outcome.

        Waits only for room in the buffer, and at first for the topic's partitions. If that wait is cancelled,
        the record was not buffered; once `send` has returned it will be delivered whatever is cancelled.

        Without `partition` the key's bytes decide, by murmur2 as in Kafka, and without a key one partition
        after the other gets a batch. `value` None is a tombstone. `timestamp_ms` is by default now, in ms
        since 1970-01-01 UTC, read once in each pass of the event loop or each batch.

        Raises UnknownTopicError, InvalidTopicNameError, UnknownPartitionError, BatchTooLargeError,
        ClosedError, RecordEncodeError (of a serializer); TypeError, ValueError for what else cannot be sent.
        """
        if headers is None and timestamp_ms is None and partition is None:
            delivery = self._append_fast(topic, value, key)
            if delivery is not None:
                return delivery
        if not self._as_they_are:
            pairs = header_tuple(headers)
            return await self._send_long(ProducerRecord(topic, value, key, pairs, timestamp_ms, partition))
        buffer = self._buffers.get(topic)
        if buffer is not None and not self._pool.line.locked():
            delivery = self._append(
                buffer, value, key, headers=headers, timestamp_ms=timestamp_ms, partition=partition
            )
            if delivery is not None:
                return delivery
        return await self._append_or_wait(
            topic, value, key, headers=headers, timestamp_ms=timestamp_ms, partition=partition
        )

    def send_nowait(
        self,
        topic: str,
        value: V | None,
        *,
        key: K | None = None,
        headers: HeadersArgument | None = None,
        timestamp_ms: int | None = None,
        partition: int | None = None,
    ) -> Delivery:
        """As `send`, but raises BufferFullError where that would wait.

        It would wait if there is no room, and if the topic was not used before: call `partitions_for` first.
        """
        if headers is None and timestamp_ms is None and partition is None:
            delivery = self._append_fast(topic, value, key)
            if delivery is not None:
                return delivery
        if not self._as_they_are:
            pairs = header_tuple(headers)
            return self._send_long_nowait(ProducerRecord(topic, value, key, pairs, timestamp_ms, partition))
        return self._append_now(
            topic, value, key, headers=headers, timestamp_ms=timestamp_ms, partition=partition
        )

    async def send_many(
        self,
        topic: str,
        values: Sequence[V | None],
        *,
        keys: Sequence[K | None] | None = None,
        headers: Sequence[HeadersArgument | None] | None = None,
        timestamps_ms: Sequence[int] | int | None = None,
        partition: int | None = None,
    ) -> Deliveries:
        """Buffer many records, given as columns; the fastest way in.

        `keys`, `headers` and `timestamps_ms` have one item a record; one timestamp stands for all. Otherwise
        as `send`. The columns must not be changed before it returns. If one cannot be sent, none is. Waits
        for room piece by piece, so they may be larger than the buffer; if that wait is cut short, because it
        is cancelled, the producer closed or the topic deleted, an unknown part of them was buffered.
        """
        if self._interceptors:
            return await self._send_many_long(
                records_of(topic, values, keys, headers, timestamps_ms, partition=partition)
            )
        data: Sequence[Any] = values
        names: Sequence[Any] | None = keys
        if not self._as_they_are:
            data = self._encoder.column(topic, "value", values)
            names = None if keys is None else self._encoder.column(topic, "key", keys)
        if topic not in self._buffers:
            await self._open(topic)
        now_ms = self._read_clock() if timestamps_ms is None else timestamps_ms
        columns = checked_columns(data, names, headers, now_ms, self._max_record_bytes)
        spans: list[Span] = []
        await self._append_keyed(topic, columns, partition, spans)
        return Deliveries(len(values), spans)
