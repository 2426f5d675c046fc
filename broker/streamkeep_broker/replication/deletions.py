"""Deletions that wait until every in-sync replica has the new log start, as Kafka's DelayedDeleteRecords.

What is deleted must not be there again when another one leads. Pure; knows neither logs nor streams.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from streamkeep_common.errors import StreamkeepError


class PendingDeletion(ABC):
    """One deletion on its way to its answer; whoever asks for it subclasses this to learn the outcome."""

    @abstractmethod
    def done(self, error: StreamkeepError | None) -> None:
        """Called once, unless it is forgotten before: every in-sync replica has the log start, or nobody will
        say so any more."""


class Deletions:
    """Those of one partition, within one leader epoch."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[PendingDeletion, int] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, pending: PendingDeletion, log_start_offset: int) -> None:
        """Tell `pending` when the log of every in-sync replica begins at `log_start_offset` or later."""
        self._waiting[pending] = log_start_offset

    def forget(self, pending: PendingDeletion) -> None:
        """Nobody wants to know any more. Nothing happens if it is not there."""
        self._waiting.pop(pending, None)

    def release(self, least_log_start: int) -> None:
        """Tell all that the least log start of the in-sync replicas has reached."""
        for pending in [each for each, wanted in self._waiting.items() if wanted <= least_log_start]:
            del self._waiting[pending]
            pending.done(None)

    def fail(self, error: StreamkeepError) -> None:
        """Tell all that nobody will know."""
        waiting, self._waiting = self._waiting, {}
        for pending in waiting:
            pending.done(error)
