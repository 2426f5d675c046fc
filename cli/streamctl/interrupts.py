"""Coroutines run from the command line: Ctrl-C and its relatives cancel them, so that `finally` cleans up."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(work: Coroutine[Any, Any, T], *, for_reader: bool = False) -> T:
    """As asyncio.run; raises KeyboardInterrupt if a signal cancelled the work and it let that pass.

    `for_reader`: the work is pointless without a reader of stdout, so BrokenPipeError is raised as soon as a
    pipe there has none, even while nothing is written.
    """
    interruption = _Interruption()
    try:
        return asyncio.run(interruption.around(work, for_reader=for_reader))
    except asyncio.CancelledError:
        raise interruption.cause or KeyboardInterrupt() from None


class _Interruption:
    """The first reason to stop cancels; later ones are ignored, so that cleaning up is not cut short."""

    def __init__(self) -> None:
        self.cause: BaseException | None = None

    async def around(self, work: Coroutine[Any, Any, T], *, for_reader: bool) -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def stop(cause: BaseException) -> None:
            if pipe is not None:
                loop.remove_reader(pipe)
            if self.cause is None:
                self.cause = cause
                task.cancel()

        for number in SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # as nohup wants it
            loop.add_signal_handler(number, stop, KeyboardInterrupt())
        pipe = _stdout_pipe() if for_reader else None
        if pipe is not None:
            # Nothing can be read from this end; what is reported is that the other end was closed.
            loop.add_reader(pipe, stop, BrokenPipeError())
        return await work


def _stdout_pipe() -> int | None:
    """The descriptor of stdout, if that is a pipe."""
    try:
        descriptor = sys.stdout.fileno()
    except OSError:
        return None
    return descriptor if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else None
