"""Simulated processes: who runs, who is paused, who is dead.

A process is a context variable: tasks and timers inherit it from where they were made. The loop asks it
before each callback, so that not even a `finally` of a killed process runs.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

PROCESS: contextvars.ContextVar[SimProcess | None] = contextvars.ContextVar("PROCESS", default=None)


class SimProcess:
    """One incarnation of a process on the host `name`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.paused = False
        self._held: list[asyncio.Handle] = []
        self._left_behind: list[asyncio.Task[Any]] = []
        self._at_kill: list[Callable[[], None]] = []
        self._context = contextvars.copy_context()
        self._context.run(PROCESS.set, self)

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task of this process."""
        return self.call(asyncio.get_running_loop().create_task, coroutine)

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call as this process: whatever it starts belongs to it."""
        return self._context.copy().run(function, *arguments)

    def kill(self) -> None:
        """kill -9: nothing of it runs any more; its connections close."""
        self.alive = False
        loop: Any = asyncio.get_running_loop()
        self._left_behind = loop.tasks_of(self)  # or the garbage collector would run their clean-up
        for action in self._at_kill:
            action()

    def at_kill(self, action: Callable[[], None]) -> None:
        self._at_kill.append(action)

    def pause(self) -> None:
        """SIGSTOP: it stands still, and its connections stay open."""
        self.paused = True

    def resume(self) -> None:
        """SIGCONT. All timers that were due in the meantime fire."""
        self._go_on(asyncio.get_running_loop())

    def rise(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run again what a killed process left, so that it can be cancelled: for the end of a simulation."""
        self.alive = True
        self._go_on(loop)

    def may_run(self, handle: asyncio.Handle) -> bool:
        """Asked by the loop, which leaves to the process what may not run."""
        if self.alive and not self.paused:
            return True
        self._held.append(handle)
        return False

    def _go_on(self, loop: Any) -> None:
        self.paused = False
        held, self._held = self._held, []
        loop._ready.extend(held)
