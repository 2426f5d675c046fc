"""Where records wait: one queue a partition, closed batches in front, the open one behind.

Pure: whoever appends says what time it is, and a `QueueListener` hears what happened.
"""

from __future__ import annotations

import random
from typing import Protocol

from streamkeep.producer.batch import ENTRY_OVERHEAD_BYTES, Batch
from streamkeep.producer.buffer_pool import BufferPool
from streamkeep.producer.columns import Columns
from streamkeep.producer.delivery import Receipt, Span
from streamkeep.producer.partitioner import NO_LEADER, TURN_BYTES, StickyPartitioner
from streamkeep.producer.sequencer import Sequencer
from streamkeep_common.errors import UnknownPartitionError
from streamkeep_common.limits import KIB, MAX_RECORDS_PER_BATCH
from streamkeep_common.partitioning import KeyHashes

_RESERVE_BYTES = 16 * KIB
"""Room is taken from the pool in steps of this, so that to append a record is to compare two numbers."""

_CROWDED = MAX_RECORDS_PER_BATCH - _RESERVE_BYTES // ENTRY_OVERHEAD_BYTES
"""With so many records a batch takes no more than fit into the room it has, which are not too many yet."""


class QueueListener(Protocol):
    """Hears of queues that have something to send."""

    def on_open(self, queue: PartitionQueue) -> None:
        """A first record began a batch."""
        ...

    def on_full(self, queue: PartitionQueue) -> None:
        """A batch was closed because it was full."""
        ...


class PartitionQueue:
    """What is buffered for one partition."""

    __slots__ = (
        "_batch_bytes",
        "_listener",
        "_pool",
        "has_leader",
        "open",
        "partition",
        "resume_at_s",
        "sequencer",
        "sticky",
        "topic",
        "topic_id",
    )

    def __init__(
        self,
        topic: str,
        topic_id: bytes,
        partition: int,
        *,
        batch_bytes: int,
        max_in_flight: int,
        sticky: StickyPartitioner,
        pool: BufferPool,
        listener: QueueListener,
    ) -> None:
        self.topic = topic
        self.topic_id = topic_id
        self.partition = partition
        self.sequencer = Sequencer(max_in_flight)
        self.sticky = sticky
        self.open: Batch | None = None
        self.has_leader = False
        self.resume_at_s = 0.0
        self._batch_bytes = batch_bytes
        self._pool = pool
        self._listener = listener

    def is_empty(self) -> bool:
        return self.open is None and not self.sequencer.pending

    def opens_batch(self, size: int) -> bool:
        """A record of `size` bytes would begin a new batch."""
        return self.open is None or self._is_full(self.open, size)

    def room_for(self, size: int, now_ms: int, now_s: float) -> Batch | None:
        """The open batch with room for a record of `size` bytes; None if the buffer is full.

        A record larger than a batch has a batch of its own.
        """
        batch = self.open
        if batch is not None and self._is_full(batch, size):
            self.close_full()
            batch = None
        if batch is None:
            return self._open_batch(size, now_ms, now_s)
        return batch if self._reserve(batch, size) else None

    def extend(self, columns: Columns, start: int, now_ms: int, now_s: float) -> Span | None:
        """Take as many records from `start` on as fit into one batch; None if the buffer is full."""
        held, used = (len(self.open.values), self.open.size) if self.open is not None else (0, 0)
        count, size = columns.fit(start, self._batch_bytes - used, _CROWDED - held)
        if not count and self.open is not None:
            self.close_full()
            count, size = columns.fit(start, self._batch_bytes, _CROWDED)
        if not count:
            count, size = 1, columns.size(start, start + 1)
        batch = self.room_for(size, now_ms, now_s)
        if batch is None:
            return None
        span = columns.append_to(batch, start, count, size)
        if start + count < len(columns):
            self.close_full()
        return span

    def close_full(self) -> None:
        """The open batch takes no more records: it may be sent."""
        self.close_open()
        self._listener.on_full(self)

    def take_next(self, now_s: float) -> Batch | None:
        """The next batch to send: a closed one, or the open one if that is due. None while it has to wait."""
        if self.resume_at_s > now_s:
            return None
        if self.open is not None and self.open.due and self.sequencer.has_room():
            self.close_open()
        return self.sequencer.take_next()

    def close_open(self) -> None:
        """Put the open batch, if there is one, behind the closed ones."""
        batch, self.open = self.open, None
        if batch is None:
            return
        self._pool.give(batch.close())
        self.sequencer.add(batch)
        if self.sticky.partition == self.partition:
            self.sticky.note_batch(batch.size)

    def _is_full(self, batch: Batch, size: int) -> bool:
        """A record of `size` bytes does not fit in."""
        return batch.size + size > self._batch_bytes or len(batch.values) >= _CROWDED

    def _open_batch(self, size: int, now_ms: int, now_s: float) -> Batch | None:
        batch = Batch(Receipt(self.topic, self.partition, now_ms), now_s)
        if not self._reserve(batch, size):
            return None
        self.open = batch
        self._listener.on_open(self)
        return batch

    def _reserve(self, batch: Batch, size: int) -> bool:
        """Room for `size` bytes more, taken from the pool if the batch has not enough."""
        needed = batch.size + size - batch.reserved
        if needed <= 0:
            return True
        step = max(needed, min(_RESERVE_BYTES, self._batch_bytes - batch.reserved))
        if not self._pool.take(step):
            step = needed
            if not self._pool.take(step):
                return False
        batch.reserved += step
        batch.room = batch.reserved
        return True


class TopicBuffer:
    """The queues of one topic, and where its next record goes."""

    def __init__(
        self,
        topic: str,
        topic_id: bytes,
        *,
        batch_bytes: int,
        max_in_flight: int,
        pool: BufferPool,
        listener: QueueListener,
        hashes: KeyHashes,
        rng: random.Random,
    ) -> None:
        self.topic = topic
        self.topic_id = topic_id
        self.queues: list[PartitionQueue] = []
        self._hashes = hashes
        self._sticky = StickyPartitioner(min(batch_bytes, TURN_BYTES), rng)
        self._batch_bytes = batch_bytes
        self._max_in_flight = max_in_flight
        self._pool = pool
        self._listener = listener

    def grow(self, partitions: int) -> list[PartitionQueue]:
        """Add queues up to that number of partitions; returns the new ones."""
        added = [
            PartitionQueue(
                self.topic,
                self.topic_id,
                partition,
                batch_bytes=self._batch_bytes,
                max_in_flight=self._max_in_flight,
                sticky=self._sticky,
                pool=self._pool,
                listener=self._listener,
            )
            for partition in range(len(self.queues), partitions)
        ]
        self.queues += added
        return added

    def queue_for(self, key: bytes | None, partition: int | None, size: int = 0) -> PartitionQueue:
        """Where a record of `size` bytes goes: an explicit partition, else the key's, else the sticky one.

        Raises UnknownPartitionError.
        """
        if partition is not None:
            if not 0 <= partition < len(self.queues):
                raise UnknownPartitionError(
                    f"topic '{self.topic}' has partitions 0 to {len(self.queues) - 1}, not {partition}"
                )
            return self.queues[partition]
        if key is not None:
            return self.queues[self.partition_of(key)]
        return self._sticky_queue(size)

    def partition_of(self, key: bytes) -> int:
        return self._hashes[key] % len(self.queues)

    def _sticky_queue(self, size: int) -> PartitionQueue:
        """The present one as long as its batch has room, and then until it had its share."""
        if self._sticky.partition is not None:
            queue = self.queues[self._sticky.partition]
            if not queue.opens_batch(size):
                return queue
            if queue.open is not None:
                queue.close_full()
            if queue.has_leader and not self._sticky.is_due():
                return queue
        return self.queues[self._sticky.draw([_queue_length(queue) for queue in self.queues])]


def _queue_length(queue: PartitionQueue) -> int:
    return len(queue.sequencer.pending) if queue.has_leader else NO_LEADER
