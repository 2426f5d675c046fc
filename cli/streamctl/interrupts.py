"""Coroutines run from the command line: Ctrl-C and its relatives cancel them, so that `finally` cleans up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(work: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run; raises KeyboardInterrupt if a signal cancelled the work and it let that pass."""
    try:
        return asyncio.run(_interruptible(work))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _interruptible(work: Coroutine[Any, Any, T]) -> T:
    """The first signal cancels; later ones are ignored, so that cleaning up is not cut short."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    cancelled = False

    def cancel() -> None:
        nonlocal cancelled
        if not cancelled:
            cancelled = True
            task.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, cancel)
    return await work
