"""Worker threads. Owns the way to a thread and back; knows nothing of what the work is.

A thread of our own, woken by a SimpleQueue, costs about half of `run_in_executor`: no concurrent future
is made to be chained to an asyncio one, and everything that completes before the loop comes round is
delivered by one wake-up.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class _Job(NamedTuple):
    work: Callable[[], Any]
    future: asyncio.Future[Any]


class _Outcome(NamedTuple):
    future: asyncio.Future[Any]
    result: Any
    error: BaseException | None


class RealWorkers:
    """Starts threads."""

    def start(self, name: str) -> RealWorker:
        """A new thread. It is a daemon: a disk that never answers must not keep a process from ending."""
        return RealWorker(name, asyncio.get_running_loop())


class RealWorker:
    """One thread and its queue; see `seams.Worker`."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self._name = name
        self._loop = loop
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._outcomes: deque[_Outcome] = deque()
        self._delivery_is_due = False
        self._ended: asyncio.Future[None] = loop.create_future()
        self._closing = False
        self._thread = threading.Thread(target=self._work_until_closed, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        if self._closing:
            raise RuntimeError(f"worker {self._name} is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(work, future))
        return future

    async def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._jobs.put(None)
        await asyncio.shield(self._ended)
        self._thread.join()  # to say that it ended was the last thing that it did

    def _work_until_closed(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._complete(_carry_out(job))
            del job  # an idle worker must not keep the last result alive
        self._complete(_Outcome(self._ended, None, None))

    def _complete(self, outcome: _Outcome) -> None:
        # Appended before the flag is read, and the loop clears the flag before it reads the queue: an
        # outcome that finds the flag set is seen by the delivery that set it.
        self._outcomes.append(outcome)
        if self._delivery_is_due:
            return
        self._delivery_is_due = True
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:
            # The loop was closed while the work ran: nobody is left who could wait for it.
            self._jobs.put(None)

    def _deliver(self) -> None:
        self._delivery_is_due = False
        while self._outcomes:
            future, result, error = self._outcomes.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)


def _carry_out(job: _Job) -> _Outcome:
    try:
        return _Outcome(job.future, job.work(), None)
    except StopIteration as error:
        # A future cannot hold it: it would end the coroutine that awaits.
        return _Outcome(job.future, None, RuntimeError(f"work raised {error!r}"))
    except BaseException as error:
        return _Outcome(job.future, None, error)
