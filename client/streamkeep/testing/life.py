"""The life of one server within this process: what belongs to it, so that it can be killed as a process can.

Tasks belong to whom they are started by, as memory belongs to a process: a context variable says who that is.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from streamkeep_common.seams import Worker
from streamkeep_common.seams.memory.disk import MemoryDisk
from streamkeep_common.seams.memory.network import MemoryNetwork
from streamkeep_common.seams.real.workers import RealWorkers

T = TypeVar("T")

_OWNER: contextvars.ContextVar[Life | None] = contextvars.ContextVar("_OWNER", default=None)


class Life:
    """From a start to the next stop or kill. `disk` outlives it."""

    def __init__(self, disk: MemoryDisk) -> None:
        self.network = MemoryNetwork()
        self.workers = OwnWorkers()
        self.is_over = False
        self._disk = disk
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._ending: asyncio.Task[None] | None = None
        self._context = contextvars.copy_context()
        self._context.run(_OWNER.set, self)

    def call(self, function: Callable[[], T]) -> T:
        """Call as this server."""
        return self._context.copy().run(function)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task of this server."""
        return asyncio.get_running_loop().create_task(work, context=self._context.copy())

    def own(self, task: asyncio.Task[Any]) -> None:
        """A task was started by this server. What it still starts after its end never begins."""
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        if self.is_over:
            task.cancel()

    async def end(self) -> None:
        """As kill -9: its connections break, its files and locks are gone, nothing of it runs any more.

        Who is cancelled while it waits for that does not stop it; who calls again waits for the same end.
        """
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        await asyncio.shield(self._ending)

    async def _end(self) -> None:
        self.is_over = True
        self.network.kill()
        self._disk.kill()
        while self._tasks:
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self.workers.close()


class OwnWorkers:
    """The worker threads of one server; see `seams.Workers`."""

    def __init__(self) -> None:
        self._real = RealWorkers()
        self._started: list[Worker] = []

    def start(self, name: str) -> Worker:
        worker = self._real.start(name)
        self._started.append(worker)
        return worker

    async def close(self) -> None:
        """End every thread that is left."""
        for worker in self._started:
            await worker.close()


def make_loop() -> asyncio.AbstractEventLoop:
    """An event loop in which every task belongs to a server, or to nobody."""
    loop = asyncio.SelectorEventLoop()
    loop.set_task_factory(_make_task)
    return loop


def _make_task(
    loop: asyncio.AbstractEventLoop,
    work: Any,
    *,
    context: contextvars.Context | None = None,
    **options: Any,
) -> asyncio.Task[Any]:
    owner = _OWNER.get() if context is None else context.get(_OWNER)
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context, **options)
    if owner is not None:
        owner.own(task)
    return task
