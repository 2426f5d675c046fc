"""Coroutines run from the command line: Ctrl-C and its relatives cancel them, so that `finally` cleans up."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
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


@contextmanager
def hearing_signals() -> Iterator[None]:
    """For a call that may wait for ever, as a write to a full pipe does, inside of `run`: no event loop can
    then hear of a signal, so that raises KeyboardInterrupt out of the call."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _heeded() -> list[signal.Signals]:
    """A hangup that is ignored when the program starts is to be: so nohup wants it."""
    ignores_hangup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in SIGNALS if number != signal.SIGHUP or not ignores_hangup]


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

        for number in _heeded():
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
