"""An asyncio event loop in virtual time whose every choice follows from one seed.

Nothing waits: when no callback is ready, time jumps to the next timer. Callbacks that are ready together
run in a seeded order, which real loops never promise to keep and real machines never do. A loop with
neither callbacks nor timers can never go on, and says so. Processes of a simulated cluster share the
loop; the callbacks of a killed one never run again, those of a paused one wait.

Leans on private parts of `asyncio.BaseEventLoop` that have not changed from Python 3.11 to 3.14.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import random
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from tests.sim.processes import PROCESS, SimProcess

SHORTEST_S = 1e-6
"""No timer is shorter; those of real loops are coarser."""


class SimDeadlockError(AssertionError):
    """Every task waits for something that can never happen."""


class SimTimeoutError(AssertionError):
    """The simulation took more virtual time or more steps than it was given."""


class _Task(asyncio.Task[Any]):
    """Knows its place in the order of creation, which is the same in every run, and whose it is."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], *, number: int, **options: Any) -> None:
        self.number = number
        self.process = PROCESS.get()
        super().__init__(coroutine, **options)


class SimLoop(asyncio.BaseEventLoop):
    """`rng` orders callbacks; use another one for all else, so that one more message does not reorder tasks.

    `after_step`, if set, is called after every callback, with the process to which that belongs (None = the
    world itself): the place for checkers.
    """

    _ready: Any

    def __init__(self, rng: random.Random, *, max_time_s: float, max_steps: int) -> None:
        super().__init__()
        self._rng = rng
        self._now = 0.0
        self._max_time_s = max_time_s
        self._max_steps = max_steps
        self._tasks_made = 0
        self._timers: list[tuple[float, asyncio.TimerHandle]] = []
        self.steps = 0
        self.after_step: Callable[[SimProcess | None], None] | None = None
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        return self._now

    def allow(self, steps: int) -> None:
        """Extend the limits: so many more steps, and any time."""
        self._max_steps = self.steps + steps
        self._max_time_s = math.inf

    def tasks_of(self, process: SimProcess) -> list[asyncio.Task[Any]]:
        """Its unfinished ones."""
        return [
            each for each in asyncio.all_tasks(self) if isinstance(each, _Task) and each.process is process
        ]

    def waiting(self) -> list[str]:
        """Where each unfinished task stands, oldest first."""
        tasks = [task for task in asyncio.all_tasks(self) if isinstance(task, _Task)]
        return [_place(task) for task in sorted(tasks, key=lambda task: task.number)]

    def run_in_executor(self, *_arguments: Any) -> NoReturn:  # type: ignore[override]
        raise RuntimeError("a simulation has no threads: use the Workers seam")

    def call_later(self, delay: float, callback: Any, *arguments: Any, context: Any = None) -> Any:
        """Time passes: what waits for less than a moment, again and again, would never see the end of it."""
        if 0 < delay < SHORTEST_S:
            delay = SHORTEST_S
        return super().call_later(delay, callback, *arguments, context=context)

    def call_at(self, when: float, callback: Any, *arguments: Any, context: Any = None) -> Any:
        """As asyncio's, but that timers are compared by the interpreter: each is so a dozen times."""
        timer = asyncio.TimerHandle(when, callback, arguments, self, context)
        heapq.heappush(self._timers, (when, timer))
        return timer

    def close(self) -> None:
        super().close()
        self._timers.clear()

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *arguments: Any, context: Any = None
    ) -> asyncio.Handle:
        """asyncio itself uses this, when it closes an asynchronous generator that nobody holds."""
        if threading.get_ident() != self._thread_id:  # type: ignore[attr-defined]
            raise RuntimeError("a simulation has no threads: use the Workers seam")
        return self.call_soon(callback, *arguments, context=context)

    def _make_task(self, _loop: Any, coroutine: Any, **options: Any) -> _Task:
        self._tasks_made += 1
        return _Task(coroutine, number=self._tasks_made, loop=self, **options)

    def _run_once(self) -> None:
        if not self._ready:
            self._jump_to_next_timer()
        timers = self._timers
        while timers and timers[0][0] <= self._now:
            self._ready.append(heapq.heappop(timers)[1])
        batch = deque(self._in_seeded_order(list(self._ready)))
        self._ready.clear()
        try:
            while batch:
                if self.steps >= self._max_steps:
                    raise SimTimeoutError(f"{self._max_steps} steps are over; waiting: {self.waiting()}")
                self._step(batch.popleft())
        finally:
            self._ready.extendleft(reversed(batch))

    def _jump_to_next_timer(self) -> None:
        timers = self._timers
        while timers and timers[0][1].cancelled():
            heapq.heappop(timers)
        if self._stopping:  # type: ignore[attr-defined]
            return
        if not timers:
            raise SimDeadlockError("nothing can ever run; waiting: " + "; ".join(self.waiting()))
        self._now = max(self._now, timers[0][0])
        if self._now > self._max_time_s:
            raise SimTimeoutError(f"{self._max_time_s} virtual seconds are over; waiting: {self.waiting()}")

    def _step(self, handle: Any) -> None:
        if handle._cancelled:
            return
        process = handle._context.get(PROCESS)
        if process is not None and not process.may_run(handle):
            return
        self.steps += 1
        handle._run()
        if self.after_step is not None:
            self.after_step(process)

    def _in_seeded_order(self, handles: list[Any]) -> list[Any]:
        if len(handles) == 1:
            return handles
        # asyncio keeps tasks in sets, so the order in which it wakes them depends on addresses in
        # memory. Steps of tasks are put into the order of creation before they are shuffled.
        places = [place for place, handle in enumerate(handles) if _task_of(handle) is not None]
        steps = sorted((handles[place] for place in places), key=lambda handle: _task_of(handle).number)  # type: ignore[union-attr]
        for place, handle in zip(places, steps, strict=True):
            handles[place] = handle
        self._rng.shuffle(handles)
        return handles


def _task_of(handle: Any) -> _Task | None:
    owner = getattr(handle._callback, "__self__", None)
    return owner if isinstance(owner, _Task) else None


def _place(task: _Task) -> str:
    frames = task.get_stack(limit=1)
    where = f" at {frames[0].f_code.co_filename.rpartition('/')[2]}:{frames[0].f_lineno}" if frames else ""
    return f"{task.get_coro().__qualname__}{where}"  # type: ignore[union-attr]
