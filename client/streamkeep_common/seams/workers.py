"""The worker seam: work that may block runs on a named thread, one piece at a time, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Worker(Protocol):
    """One thread with a queue. Call only from the event loop that started it."""

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Do `work` after all work given before; the future has its result or exception.

        Cancelling the future drops the result; it does not stop the work.
        """
        ...

    async def close(self) -> None:
        """Finish the work that was given, then end the thread. More work is refused with RuntimeError."""
        ...


class Workers(Protocol):
    """Starts workers."""

    def start(self, name: str) -> Worker:
        """A new worker; `name` is for people who read thread lists."""
        ...
