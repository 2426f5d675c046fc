"""Simulated worker threads: the work runs on the loop, in order, after virtual delays."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class SimWorkers:
    """`delay_s` bounds how long a piece of work takes; both may be changed while it runs.

    The work's effect happens at its beginning or at its end, as the seed will have it: a crash in
    between finds it done but not reported, or not done.
    """

    def __init__(self, rng: random.Random, *, delay_s: tuple[float, float] = (20e-6, 500e-6)) -> None:
        self._rng = rng
        self.delay_s = delay_s
        self._resumed = asyncio.Event()
        self._resumed.set()

    def start(self, name: str) -> SimWorker:
        return SimWorker(self, name)

    def stall(self) -> None:
        """Work that is under way or given from now on does not complete, until `resume`."""
        self._resumed.clear()

    def resume(self) -> None:
        self._resumed.set()

    async def carry_out(self, work: Callable[[], T]) -> T:
        early = self._rng.random() < 0.5
        delay_s = self._rng.uniform(*self.delay_s)
        if early:
            outcome = _attempt(work)
        await asyncio.sleep(delay_s)
        await self._resumed.wait()
        if not early:
            outcome = _attempt(work)
        return outcome()


class SimWorker:
    """One queue; see `seams.Worker`."""

    def __init__(self, workers: SimWorkers, name: str) -> None:
        self._workers = workers
        self._name = name
        self._jobs: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        if self._closing:
            raise RuntimeError(f"worker {self._name} is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.append((work, future))
        if self._task is None:
            self._task = asyncio.ensure_future(self._work())
        return future

    async def close(self) -> None:
        self._closing = True
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def _work(self) -> None:
        while self._jobs:
            work, future = self._jobs.popleft()
            try:
                result = await self._workers.carry_out(work)
            except Exception as error:
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)
        self._task = None


def _attempt(work: Callable[[], T]) -> Callable[[], T]:
    """Do it now, tell later."""
    try:
        result = work()
    except StopIteration as error:
        return _raiser(RuntimeError(f"work raised {error!r}"))
    except Exception as error:
        return _raiser(error)
    return lambda: result


def _raiser(error: Exception) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail
