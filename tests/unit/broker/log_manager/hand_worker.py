"""A worker whose work is done when a test says so."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class HandWorker:
    """Work queues up until `do_next`."""

    def __init__(self) -> None:
        self.queue: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.queue.append((work, future))
        return future

    async def do_next(self) -> None:
        """Do the oldest work and let the loop deliver what came of it."""
        work, future = self.queue.popleft()
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)
        await passes()

    async def close(self) -> None:
        while self.queue:
            await self.do_next()


async def passes(count: int = 3) -> None:
    """Let the event loop come round a few times."""
    for _ in range(count):
        await asyncio.sleep(0)
