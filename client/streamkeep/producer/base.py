"""What a producer is apart from its types: its life, and the short ways of bytes into the queues.

`producer.py` adds what users call to send. Nothing here knows of serializers or interceptors.
"""

from __future__ import annotations

import asyncio
import logging
import random
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

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
from streamkeep.producer.columns import Columns
from streamkeep.producer.delivery import Delivery, Span
from streamkeep.producer.metrics import ProducerCounts, ProducerMetrics
from streamkeep.producer.options import ProducerOptions
from streamkeep.producer.sender import Sender
from streamkeep_common.errors import BufferFullError, ClosedError
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import Network

T = TypeVar("T")

_logger = logging.getLogger(__name__)

_CANCELLED_CLOSE_MS = 1_000
"""How long a block that is left by cancellation (Ctrl-C) still delivers."""

_STALE = -2
"""Stands for a time that has to be read again; no batch has it."""


class ProducerBase:
    """See `Producer`. With `as_they_are` records are what `send` was given, and the short ways are open."""

    _sender: Sender | None = None
    _closed = False
    # Of the class, for whoever was refused for an option and is thrown away.

    def __init__(
        self,
        bootstrap: str | Sequence[str] | Client,
        options: ProducerOptions,
        *,
        as_they_are: bool,
        network: Network | None,
        clock: Clock | None,
        rng: random.Random | None,
    ) -> None:
        self._options = options
        self._owns_client = not isinstance(bootstrap, Client)
        self._client = (
            bootstrap
            if isinstance(bootstrap, Client)
            else Client(bootstrap, network=network, clock=clock, rng=rng)
        )
        self._clock = self._client.clock
        self._batch_bytes = options.batch_bytes
        self._max_record_bytes = max_record_bytes(options.codec, options.buffer_bytes)
        self._pool = BufferPool(options.buffer_bytes)
        self._as_they_are = as_they_are
        self._buffers: dict[str, TopicBuffer] = {}
        self._keyed: dict[str, TopicBuffer] = {}
        """The same, or nothing if records are to be encoded first: the short way for keyed records."""
        self._plain: dict[str, Batch] = {}
        """By topic, the open batch that takes records with nothing but a value; the short way for those."""
        self._now_ms = _STALE
        self._patience: asyncio.Timeout | None = None
        """For what is delivered while it is being closed."""
        self._ended = asyncio.Event()

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
            undelivered = self._sender.count_unsettled()
            if undelivered:  # too much to lose for a ResourceWarning, which nobody sees by default
                _logger.warning("%d records may be lost: their producer was not closed", undelivered)
            complaint = f"{self!r} was not closed; its last records may be lost"
            warnings.warn(complaint, ResourceWarning, stacklevel=2, source=self)

    async def start(self) -> None:
        """Make it ready; connections are made when they are needed. Raises ClosedError after `close`."""
        if self._closed:
            raise ClosedError("the producer is closed")
        if self._sender is None:
            self._sender = Sender(self._client, self._options, self._pool)
            self._buffers = self._sender.buffers
            self._keyed = self._buffers if self._as_they_are else {}

    async def close(self, *, timeout_ms: int | None = None) -> None:
        """Deliver what is buffered, then let go of everything.

        Waits at most `timeout_ms` (default: as long as deliveries may take); what is not delivered by then
        fails with ClosedError. So it does if the wait is cancelled. Who closes it meanwhile waits for the
        same end; the shortest time counts.
        """
        if self._closed:
            self._hurry(timeout_ms)
            await self._ended.wait()
            return
        self._closed = True
        self._buffers, self._keyed, self._plain = {}, {}, {}
        self._pool.wake()
        try:
            if self._sender is not None:
                async with asyncio.timeout(None) as self._patience:
                    self._hurry(timeout_ms)
                    await self._sender.flush()
        except TimeoutError:
            pass  # what is left is told below, to each record's delivery
        finally:
            self._patience = None
            try:
                await self._let_go()
            finally:
                self._ended.set()

    async def flush(self) -> None:
        """Send what is buffered now and wait until each of those records is acknowledged or has failed.

        Failures are told by the records' deliveries, and logged; `flush` does not raise them.
        """
        await self._running().flush()

    async def partitions_for(self, topic: str) -> int:
        """How many partitions a topic has. `send_nowait` may be used for it from then on."""
        return len((self._buffers.get(topic) or await self._open(topic)).queues)

    def metrics(self) -> ProducerMetrics:
        """What was counted so far, and how full the buffer is. Cheap enough to be called every second."""
        counts = ProducerCounts() if self._sender is None else self._sender.counts
        return counts.snapshot(
            buffer_used_bytes=self._pool.used_bytes, buffer_bytes=self._pool.capacity_bytes
        )

    def buffer_has_room(self) -> bool:
        """`send` would not wait for room now, nor `send_nowait` raise, for an ordinary record."""
        return self._pool.has_room

    # --- inside ---

    def _hurry(self, timeout_ms: int | None) -> None:
        """Let the end take no longer than that from now."""
        if timeout_ms is None or self._patience is None or self._patience.expired():
            return
        end_s = asyncio.get_running_loop().time() + timeout_ms / 1_000
        self._patience.reschedule(min(end_s, self._patience.when() or end_s))

    async def _let_go(self) -> None:
        try:
            if self._sender is not None:
                await self._sender.close()
        finally:
            if self._owns_client:
                await self._client.close()

    def _running(self) -> Sender:
        if self._closed:
            raise ClosedError("the producer is closed")
        if self._sender is None:
            raise RuntimeError("use the producer with 'async with', or await its start() first")
        return self._sender

    async def _open(self, topic: str) -> TopicBuffer:
        """The topic's queues."""
        return await self._running().open_topic(topic)

    def _append_fast(self, topic: str, value: Any, key: Any) -> Delivery | None:
        """The short way, for a record with a value and perhaps a key whose batch is open and has room for it.

        None where `_append` has to look: that may also be because they are no bytes.
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
            buffer = self._keyed.get(topic)
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
        value: Any,
        key: Any,
        *,
        headers: HeadersArgument | None,
        timestamp_ms: int | None,
        partition: int | None,
    ) -> Delivery | None:
        """Any record, whatever it has. None if there is no room. TypeError if it is not bytes."""
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
        elif key is None and partition is None and self._as_they_are:
            self._plain[buffer.topic] = batch
        return delivery

    def _append_now(
        self,
        topic: str,
        value: Any,
        key: Any,
        *,
        headers: HeadersArgument | None,
        timestamp_ms: int | None,
        partition: int | None,
    ) -> Delivery:
        """As `_append`, but raises BufferFullError where that finds no room, or no topic."""
        buffer = self._buffers.get(topic)
        if buffer is None:
            self._running()
            raise BufferFullError(f"the partitions of topic '{topic}' are not known yet")
        if self._pool.line.locked():
            raise BufferFullError("others wait for room already")
        delivery = self._append(
            buffer, value, key, headers=headers, timestamp_ms=timestamp_ms, partition=partition
        )
        if delivery is None:
            raise BufferFullError(f"{self._pool.used_bytes} of {self._pool.capacity_bytes} bytes are in use")
        return delivery

    async def _append_or_wait(
        self,
        topic: str,
        value: Any,
        key: Any,
        *,
        headers: HeadersArgument | None,
        timestamp_ms: int | None,
        partition: int | None,
    ) -> Delivery:
        """As `_append`, as soon as there is room."""
        append = partial(
            self._append,
            value=value,
            key=key,
            headers=headers,
            timestamp_ms=timestamp_ms,
            partition=partition,
        )
        return await self._in_turn(topic, append)

    async def _in_turn(self, topic: str, append: Callable[[TopicBuffer], T | None]) -> T:
        """What `append` gives as soon as it finds room: first come, first served.

        Whoever finds the topic gone does not look it up at the head of the line.
        """
        while True:
            buffer = self._buffers.get(topic) or await self._open(topic)
            if not self._pool.line.locked():
                appended = append(buffer)
                if appended is not None:
                    return appended
            async with self._pool.line:
                while topic in self._buffers:
                    appended = append(self._buffers[topic])
                    if appended is not None:
                        return appended
                    await self._pool.freed()

    async def _append_keyed(
        self, topic: str, columns: Columns, partition: int | None, spans: list[Span]
    ) -> None:
        """Records to a partition, or each to its key's."""
        buffer = self._buffers.get(topic) or await self._open(topic)
        parts = columns.by_partition(buffer.partition_of) if partition is None else [(partition, columns)]
        for number, part in parts:
            await self._append_columns(topic, part, number, spans)

    async def _append_columns(
        self, topic: str, columns: Columns, partition: int | None, spans: list[Span]
    ) -> None:
        start = 0

        def extend(buffer: TopicBuffer) -> Span | None:
            queue = buffer.queue_for(None, partition)
            return queue.extend(columns, start, self._read_clock(), self._clock.monotonic())

        while start < len(columns):
            span = await self._in_turn(topic, extend)
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
