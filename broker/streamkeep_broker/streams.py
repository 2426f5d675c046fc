"""Tasks: the two halves of a long stream, the bell that wakes one, and those whose errors are heard of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Bell:
    """Wakes the one task that waits on it. Rung early, it is remembered; rung often, it wakes once."""

    __slots__ = ("_rung", "_waiter")

    def __init__(self) -> None:
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake the waiter, or the next one."""
        self._rung = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Return True when rung, False after `timeout_s`."""
        if not self._rung:
            await self._sleep(timeout_s)
        rung, self._rung = self._rung, False
        return rung

    async def _sleep(self, timeout_s: float | None) -> None:
        # A bare future with a timer: wait_for would cost a task on the path of every answer.
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        timer = loop.call_later(timeout_s, _wake, waiter) if timeout_s is not None else None
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def run_watched(
    work: Coroutine[Any, Any, None], on_failure: Callable[[Exception], None]
) -> asyncio.Task[None]:
    """A task of its own; `on_failure` hears of an error that ends it."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            on_failure(error)

    task = asyncio.ensure_future(work)
    task.add_done_callback(ended)
    return task


async def cancel(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended, however it did."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def run_halves(reading: Coroutine[Any, Any, None], writing: Coroutine[Any, Any, None]) -> None:
    """Run both halves until the writing one ends; the reading one may end before it.

    When either fails the other is cancelled and the failure raised. When this is cancelled both are.
    """
    reader = asyncio.ensure_future(reading)
    writer = asyncio.ensure_future(writing)
    try:
        await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
        if reader.done():
            reader.result()
        await writer
    finally:
        reader.cancel()
        writer.cancel()
        await asyncio.gather(reader, writer, return_exceptions=True)
