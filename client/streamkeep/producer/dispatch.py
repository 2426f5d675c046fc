"""What goes into the next request to one broker, and what is on its way there.

Pure. A closed batch is ready at once. An open one is ready when

    fewer than `eager_requests` requests are unanswered     nobody waits on an idle broker, and
    it has been open for `linger_ms`                        nobody waits longer than this on a busy one.

So a lone record leaves in the loop pass in which it was sent, while under load records gather as long as
answers take (Nagle's idea), and many callers share one request.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from streamkeep.producer.accumulator import PartitionQueue
from streamkeep.producer.batch import Batch


class Sent(NamedTuple):
    """A batch on its way since `sent_s`; `attempt` tells whether its answer still matters."""

    queue: PartitionQueue
    batch: Batch
    attempt: int
    sent_s: float


class Dispatch:
    """Queues that one broker leads, and their unanswered requests."""

    def __init__(self, *, linger_s: float, request_bytes: int, eager_requests: int) -> None:
        self._linger_s = linger_s
        self._request_bytes = request_bytes
        self._eager_requests = eager_requests
        self._ready: dict[PartitionQueue, None] = {}
        self._lingering: deque[tuple[PartitionQueue, Batch]] = deque()
        self._unanswered: dict[int, dict[tuple[bytes, int], Sent]] = {}
        self._last_request_id = 0

    def add_open(self, queue: PartitionQueue) -> None:
        """The queue has just opened a batch, which may linger."""
        assert queue.open is not None
        self._lingering.append((queue, queue.open))

    def add_ready(self, queue: PartitionQueue) -> None:
        """The queue may have something to send at once: a batch is full, an answer came, a wait ended."""
        self._ready[queue] = None

    def forget(self, queue: PartitionQueue) -> None:
        """Another broker leads it now."""
        self._ready.pop(queue, None)
        self._lingering = deque(entry for entry in self._lingering if entry[0] is not queue)
        for request_id in list(self._unanswered):
            self.take_answered(request_id, queue.topic_id, queue.partition)

    def has_work(self) -> bool:
        return bool(self._ready or self._lingering or self._unanswered)

    def is_waiting(self) -> bool:
        """Some request is unanswered."""
        return bool(self._unanswered)

    def next_request(self, now_s: float) -> tuple[int, list[Sent]] | None:
        """Batches to send together, at most one a partition; None if nothing is ready."""
        self._end_lingering(now_s)
        sent: list[Sent] = []
        size = 0
        while self._ready and size < self._request_bytes:
            queue = next(iter(self._ready))
            del self._ready[queue]
            batch = queue.take_next(now_s)
            if batch is not None:
                sent.append(Sent(queue, batch, queue.sequencer.attempt, now_s))
                size += batch.size
        if not sent:
            return None
        for entry in sent:
            self._ready[entry.queue] = None  # behind the others: they take turns
        self._last_request_id += 1
        self._unanswered[self._last_request_id] = {(e.queue.topic_id, e.queue.partition): e for e in sent}
        return self._last_request_id, sent

    def next_due_s(self) -> float | None:
        """When the batch that has lingered longest is to be sent."""
        return self._lingering[0][1].opened_s + self._linger_s if self._lingering else None

    def take_answered(self, request_id: int, topic_id: bytes, partition: int) -> Sent | None:
        """What an answer is about; None if nothing was asked like that."""
        entries = self._unanswered.get(request_id)
        if entries is None:
            return None
        sent = entries.pop((topic_id, partition), None)
        if not entries:
            del self._unanswered[request_id]
        return sent

    def take_unanswered(self) -> list[Sent]:
        """All that will not be answered any more because the stream is gone."""
        unanswered = [sent for entries in self._unanswered.values() for sent in entries.values()]
        self._unanswered.clear()
        return unanswered

    def _end_lingering(self, now_s: float) -> None:
        """Batches that have waited long enough become due, or all while the broker has little to do."""
        eager = len(self._unanswered) < self._eager_requests
        while self._lingering:
            queue, batch = self._lingering[0]
            if queue.open is batch:
                if not eager and batch.opened_s + self._linger_s > now_s:
                    return
                batch.due = True
                self._ready[queue] = None
            self._lingering.popleft()
