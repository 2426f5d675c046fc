"""The thread and the event loop of a cluster, and the ways to it from a test with or without a loop.

A loop of its own makes the cluster go on while a test blocks, and outlive the loop of an asynchronous test.
Knows nothing of clusters.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Final, TypeVar

T = TypeVar("T")

THREAD_NAME: Final = "streamkeep-testing"


class Background:
    """One loop, from `start` to `end`. The thread is a daemon: no forgotten cluster keeps a process alive."""

    def __init__(self, make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._make_loop = make_loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process_id = os.getpid()

    @property
    def is_here(self) -> bool:
        """False in a child that was forked: it has this object, but not the thread."""
        return os.getpid() == self._process_id

    @property
    def is_current(self) -> bool:
        """Whoever asks is on the loop's own thread, and would wait for itself."""
        return self._thread is threading.current_thread()

    def start(self) -> None:
        """Make the loop and have it run."""
        assert self._loop is None, "it runs"
        self._loop = self._make_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=THREAD_NAME, daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for the outcome, without a loop. Whatever ends the wait early (Ctrl-C) cancels the work."""
        future = self._submit(work)
        try:
            return future.result()
        finally:
            future.cancel()

    async def answer(self, work: Coroutine[Any, Any, T]) -> T:
        """As `call`, from a coroutine of another loop."""
        return await asyncio.wrap_future(self._submit(work))

    def end(self) -> None:
        """Cancel what is left, end the thread, close the loop."""
        if self._loop is None or self._thread is None:
            return
        self.call(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._running())
        except BaseException:
            work.close()
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None, "it does not run"
        if not self.is_here:
            raise RuntimeError(
                "this process was forked from the one that runs the cluster, and cannot reach it: start the "
                "cluster with processes=True, and give the child its bootstrap"
            )
        return self._loop


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
