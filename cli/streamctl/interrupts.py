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
        raise interruption.cause from None


class _Interruption:
    """The first reason to stop cancels; later ones are ignored, so that cleaning up is not cut short."""

    def __init__(self) -> None:
        self.cause: BaseException = KeyboardInterrupt()
        self._task: asyncio.Task[Any] | None = None

    async def around(self, work: Coroutine[Any, Any, T], *, for_reader: bool) -> T:
        loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._cancel, self.cause)
        pipe = _stdout_pipe() if for_reader else None
        if pipe is not None:
            # Nothing can be read from this end; what is reported is the error that the other end closed.
            loop.add_reader(pipe, self._cancel, BrokenPipeError())
        return await work

    def _cancel(self, cause: BaseException) -> None:
        pipe = _stdout_pipe()
        if isinstance(cause, BrokenPipeError) and pipe is not None:
            asyncio.get_running_loop().remove_reader(pipe)
        if self._task is not None:
            self.cause = cause
            self._task.cancel()
            self._task = None


def _stdout_pipe() -> int | None:
    """The descriptor of stdout, if that is a pipe."""
    try:
        descriptor = sys.stdout.fileno()
    except OSError:
        return None
    return descriptor if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else None
