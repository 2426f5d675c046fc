"""Batches that were appended and wait for the high watermark. Pure; knows neither logs nor streams."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque

from streamkeep_common.errors import StreamkeepError


class PendingAppend(ABC):
    """One batch on its way to its answer; whoever appends it subclasses this to learn the outcome."""

    __slots__ = ("append_time_ms", "base_offset", "error", "log_start_offset", "needed_end")

    def __init__(self) -> None:
        self.base_offset = -1
        self.append_time_ms = 0
        self.log_start_offset = 0
        self.needed_end = 0
        self.error: StreamkeepError | None = None

    def refuse(self, error: StreamkeepError) -> None:
        """Set `error` without the frames it came through: they hold the batch as it was opened, which may be
        a thousand times what the budget was charged for it."""
        error.__context__ = None
        self.error = error.with_traceback(None)

    @abstractmethod
    def done(self) -> None:
        """Called once: `error` is set, or the batch stands at `base_offset` below the high watermark."""


class Waiters:
    """The batches of one partition that wait, answered in the order in which they came.

    A duplicate or a refusal queues behind what came before it: a producer may take its answers of one
    partition for a sequence. Each costs one append and one popleft, however many wait.
    """

    __slots__ = ("_queue",)

    def __init__(self) -> None:
        self._queue: deque[PendingAppend] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, pending: PendingAppend, needed_end: int) -> None:
        """Answer `pending` when the high watermark is at `needed_end` or past it, and all before it are."""
        queue = self._queue
        if queue:
            needed_end = max(needed_end, queue[-1].needed_end)
        pending.needed_end = needed_end
        queue.append(pending)

    def release(self, high_watermark: int, log_start_offset: int) -> None:
        """Answer all that the high watermark has reached."""
        queue = self._queue
        while queue and queue[0].needed_end <= high_watermark:
            pending = queue.popleft()
            pending.log_start_offset = log_start_offset
            pending.done()

    def fail(self, error: StreamkeepError) -> None:
        """Answer all with `error`; those refused before keep their own."""
        while self._queue:
            pending = self._queue.popleft()
            pending.error = pending.error or error
            pending.done()
