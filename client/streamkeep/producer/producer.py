"""The producer that users hold: checks what it is given, appends it, and waits where the caller agreed to."""

from __future__ import annotations

import asyncio
import random
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from streamkeep.client import Client
from streamkeep.producer.accumulator import TopicBuffer
from streamkeep.producer.arguments import (
    HeadersArgument,
    check_bytes,
    check_size,
    check_timestamp,
    header_pairs,
    max_record_bytes,
    record_size,
)
from streamkeep.producer.batch import ENTRY_OVERHEAD_BYTES, Batch
from streamkeep.producer.buffer_pool import BufferPool
from streamkeep.producer.columns import Columns, checked_columns
from streamkeep.producer.delivery import Deliveries, Delivery, Span
from streamkeep.producer.options import MAX_BATCH_BYTES, Compression, ProducerOptions
from streamkeep.producer.sender import Sender
from streamkeep_common.errors import BufferFullError, ClosedError
from streamkeep_common.limits import MIB
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import Network

_CANCELLED_CLOSE_MS = 1_000
"""How long a block that is left by cancellation (Ctrl-C) still delivers."""

_STALE = -2
"""Stands for a time that has to be read again; no batch has it."""


class Producer:
    """Writes records: each exactly once, in the order in which it was given, partition by partition.

    `bootstrap` names coordinators ("host:port", several with commas or as a list), or is a `Client` to share.

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

    def __init__(
        self,
        bootstrap: str | Sequence[str] | Client,
        *,
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
        self._sender: Sender | None = None
        self._closed = False
        self._options = ProducerOptions(
            linger_ms=linger_ms,
            batch_bytes=batch_bytes,
            buffer_bytes=buffer_bytes,
            compression=compression,
            delivery_timeout_ms=delivery_timeout_ms,
            max_in_flight=max_in_flight,
        )
        self._owns_client = not isinstance(bootstrap, Client)
        self._client = (
            bootstrap
            if isinstance(bootstrap, Client)
            else Client(bootstrap, network=network, clock=clock, rng=rng)
        )
        self._clock = self._client.clock
        self._batch_bytes = batch_bytes
        self._max_record_bytes = max_record_bytes(self._options.codec, buffer_bytes)
        self._pool = BufferPool(buffer_bytes)
        self._buffers: dict[str, TopicBuffer] = {}
        self._plain: dict[str, Batch] = {}
        """By topic, the open batch that takes records with nothing but a value."""
        self._now_ms = _STALE

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cancelled = isinstance(error, asyncio.CancelledError)
        await self.close(timeout_ms=_CANCELLED_CLOSE_MS if cancelled else None)

    def __del__(self) -> None:
        if self._sender is not None and not self._closed:
            complaint = f"{self!r} was not closed; its last records may be lost"
            warnings.warn(complaint, ResourceWarning, stacklevel=2, source=self)

    async def start(self) -> None:
        """Make it ready; connections are made when they are needed. Raises ClosedError after `close`."""
        if self._closed:
            raise ClosedError("the producer is closed")
        if self._sender is None:
            self._sender = Sender(self._client, self._options, self._pool)
            self._buffers = self._sender.buffers

    async def close(self, *, timeout_ms: int | None = None) -> None:
        """Deliver what is buffered, then let go of everything.

        Waits at most `timeout_ms` (default: as long as deliveries may take); what is not delivered by then
        fails with ClosedError. So it does if the wait is cancelled.
        """
        if self._closed:
            return
        self._closed = True
        self._buffers, self._plain = {}, {}
        self._pool.wake_all()
        try:
            if self._sender is not None:
                async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1_000):
                    await self._sender.flush()
        except TimeoutError:
            pass  # what is left is told below, to each record's delivery
        finally:
            if self._sender is not None:
                await self._sender.close()
            if self._owns_client:
                await self._client.close()

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: HeadersArgument | None = None,
        timestamp_ms: int | None = None,
        partition: int | None = None,
    ) -> Delivery:
        """Buffer one record; await the returned `Delivery` for its outcome.

        Waits only for room in the buffer, and at first for the topic's partitions. If that wait is cancelled,
        the record was not buffered; once `send` has returned it will be delivered whatever is cancelled.

        Without `partition` the key decides, by murmur2 as in Kafka, and without a key one partition after the
        other gets a batch. `value` None is a tombstone. `timestamp_ms` is by default now, in ms since
        1970-01-01 UTC, read once in each pass of the event loop or each batch.

        Raises UnknownTopicError, InvalidTopicNameError, UnknownPartitionError, BatchTooLargeError,
        ClosedError; TypeError and ValueError for arguments that cannot be sent.
        """
        if headers is None and timestamp_ms is None and partition is None:
            delivery = self._append_fast(topic, value, key)
            if delivery is not None:
                return delivery
        while True:
            buffer = self._buffers.get(topic) or await self._open(topic)
            delivery = self._append(
                buffer, value, key, headers=headers, timestamp_ms=timestamp_ms, partition=partition
            )
            if delivery is not None:
                self._pool.pass_on()
                return delivery
            await self._pool.wait()

    def send_nowait(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
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
        buffer = self._buffers.get(topic)
        if buffer is None:
            self._running()
            raise BufferFullError(f"the partitions of topic '{topic}' are not known yet")
        delivery = self._append(
            buffer, value, key, headers=headers, timestamp_ms=timestamp_ms, partition=partition
        )
        if delivery is None:
            raise BufferFullError(f"{self._pool.used_bytes} of {self._pool.capacity_bytes} bytes are in use")
        return delivery

    async def send_many(
        self,
        topic: str,
        values: Sequence[bytes | None],
        *,
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[HeadersArgument | None] | None = None,
        timestamps_ms: Sequence[int] | int | None = None,
        partition: int | None = None,
    ) -> Deliveries:
        """Buffer many records, given as columns; the fastest way in.

        `keys`, `headers` and `timestamps_ms` have one item a record; one timestamp stands for all. Otherwise
        as `send`. The columns must not be changed before it returns. Waits for room piece by piece, so they
        may be larger than the buffer; if that wait is cancelled, an unknown part of them was buffered.
        """
        buffer = self._buffers.get(topic) or await self._open(topic)
        now_ms = self._read_clock() if timestamps_ms is None else timestamps_ms
        columns = checked_columns(values, keys, headers, now_ms, self._max_record_bytes)
        spans: list[Span] = []
        parts = columns.by_partition(buffer.partition_of) if partition is None else {partition: columns}
        for number, part in parts.items():
            await self._append_columns(topic, part, number, spans)
        return Deliveries(len(values), spans)

    async def flush(self) -> None:
        """Send what is buffered now and wait until each of those records is acknowledged or has failed.

        Failures are told by the records' deliveries, and logged; `flush` does not raise them.
        """
        await self._running().flush()

    async def partitions_for(self, topic: str) -> int:
        """How many partitions a topic has. `send_nowait` may be used for it from then on."""
        return len((self._buffers.get(topic) or await self._open(topic)).queues)

    def buffer_has_room(self) -> bool:
        """`send` would not wait for room now, nor `send_nowait` raise, for an ordinary record."""
        return self._pool.has_room

    def _running(self) -> Sender:
        if self._closed:
            raise ClosedError("the producer is closed")
        if self._sender is None:
            raise RuntimeError("use the producer with 'async with', or await its start() first")
        return self._sender

    async def _open(self, topic: str) -> TopicBuffer:
        """The topic's queues. Whoever waited for room and finds the topic gone lets the next one go first."""
        self._pool.pass_on()
        return await self._running().open_topic(topic)

    def _append_fast(self, topic: str, value: bytes | None, key: bytes | None) -> Delivery | None:
        """The short way, for a record with a value and perhaps a key whose batch is open and has room for it.

        None where `_append` has to look.
        """
        if key is None:
            batch = self._plain.get(topic)
            if batch is None or value.__class__ is not bytes:
                return None
            size = len(value) + ENTRY_OVERHEAD_BYTES
            if batch.size + size > batch.room:
                return None
            if batch.plain_ms == self._now_ms:
                batch.size += size
                values = batch.values
                values.append(value)
                return Delivery(batch.receipt, len(values) - 1)
        else:
            buffer = self._buffers.get(topic)
            if buffer is None or value.__class__ is not bytes or key.__class__ is not bytes:
                return None
            batch = buffer.queues[buffer.partition_of(key)].open
            size = len(value) + len(key) + 2 * ENTRY_OVERHEAD_BYTES
            if batch is None or batch.size + size > batch.room:
                return None
        return batch.append(
            value, key, None, self._now_ms if self._now_ms != _STALE else self._read_clock(), size
        )

    def _append(
        self,
        buffer: TopicBuffer,
        value: bytes | None,
        key: bytes | None,
        *,
        headers: HeadersArgument | None,
        timestamp_ms: int | None,
        partition: int | None,
    ) -> Delivery | None:
        """Any record, whatever it has. None if there is no room."""
        check_bytes("value", value)
        check_bytes("key", key)
        pairs = header_pairs(headers) if headers else None
        if timestamp_ms is not None:
            check_timestamp(timestamp_ms)
        size = record_size(value, key, pairs)
        check_size(size, self._max_record_bytes)
        queue = buffer.queue_for(key, partition, size)
        if queue.opens_batch(size):
            self._now_ms = _STALE
        now_ms = self._read_clock()
        batch = queue.room_for(size, now_ms, self._clock.monotonic())
        if batch is None:
            return None
        delivery = batch.append(value, key, pairs, now_ms if timestamp_ms is None else timestamp_ms, size)
        if batch.size >= self._batch_bytes:
            queue.close_full()
        elif key is None and partition is None:
            self._plain[buffer.topic] = batch
        return delivery

    async def _append_columns(
        self, topic: str, columns: Columns, partition: int | None, spans: list[Span]
    ) -> None:
        start = 0
        while start < len(columns):
            buffer = self._buffers.get(topic) or await self._open(topic)
            queue = buffer.queue_for(None, partition)
            span = queue.extend(columns, start, self._read_clock(), self._clock.monotonic())
            if span is None:
                await self._pool.wait()
                continue
            self._pool.pass_on()
            spans.append(span)
            start += len(span.inputs)

    def _read_clock(self) -> int:
        """The time for records that bring none; read once in each pass of the event loop."""
        if self._now_ms == _STALE:
            self._now_ms = self._clock.now_ms()
            asyncio.get_running_loop().call_soon(self._forget_time)
        return self._now_ms

    def _forget_time(self) -> None:
        self._now_ms = _STALE
