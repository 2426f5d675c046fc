"""One seed of a simulated world from beginning to end, and what became of it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TypeVar

from tests.sim.simulation import Simulation, run_simulation

W = TypeVar("W")

FAULTY_S = 60.0
MIN_FAULTS = 20
PAUSE_S = (0.3, 3.0)
CONCURRENT_FAULTS = 4
MAX_TIME_S = 600
MAX_STEPS = 1_000_000
"""Several times what a seed takes: somebody runs in circles."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a seed. `time_s` is virtual."""

    counts: Counter[str]
    time_s: float
    digest: str
    trace: tuple[str, ...] = ()

    @classmethod
    def of(cls, simulation: Simulation) -> Result:
        return cls(simulation.trace.counts, simulation.loop.time(), simulation.trace.digest())


class SeedFailedError(Exception):
    """A seed failed; what led to it, for people."""

    def __init__(self, seed: int, reason: BaseException, last: list[str]) -> None:
        super().__init__(f"seed {seed}: {type(reason).__name__}: {reason}")
        self.seed = seed
        self.reason = reason
        self.last = last


def run_story(
    seed: int,
    story: Callable[[Simulation], Awaitable[Result]],
    *,
    shortened: AbstractContextManager[object],
    keep_trace: bool = False,
    last: int = 100,
) -> Result:
    """Raises SeedFailedError, with the last events (all of them, network too, with `keep_trace`).

    While `shortened` is entered, constants of the shipping code are smaller, so that what they delay happens.
    """
    recent: deque[str] = deque(maxlen=None if keep_trace else last)

    async def remember(simulation: Simulation) -> Result:
        simulation.trace.remember(recent, all_kinds=keep_trace)
        return await story(simulation)

    logging.disable(logging.CRITICAL)
    try:
        with shortened:
            result = run_simulation(seed, remember, max_time_s=MAX_TIME_S, max_steps=MAX_STEPS)
    except Exception as reason:  # whatever it is, its seed must be known
        raise SeedFailedError(seed, reason, list(recent)) from reason
    finally:
        logging.disable(logging.NOTSET)
    return replace(result, trace=tuple(recent)) if keep_trace else result


async def trouble(
    world: W, faults: Mapping[Callable[[W, random.Random], Awaitable[None]], int], rng: random.Random
) -> None:
    """Faults, some at once, for at least FAULTY_S and MIN_FAULTS of them. Each seed has its favourites."""
    loop = asyncio.get_running_loop()
    kinds = list(faults)
    favoured = rng.sample(kinds, rng.randint(len(kinds) // 2, len(kinds)))
    weights = [faults[kind] for kind in favoured]
    under_way: list[asyncio.Task[None]] = []
    begun, ends_at = 0, loop.time() + FAULTY_S
    while loop.time() < ends_at or begun < MIN_FAULTS:
        under_way = [task for task in under_way if not _is_over(task)]
        if len(under_way) < CONCURRENT_FAULTS:
            kind = rng.choices(favoured, weights)[0]
            begun += 1
            under_way.append(loop.create_task(_run(kind(world, rng))))
        await asyncio.sleep(rng.uniform(*PAUSE_S))
    for task in under_way:
        await task


async def until(
    condition: Callable[[], bool], within_s: float, promise: str, *, instead: Callable[[], object] = str
) -> None:
    """Wait for it; AssertionError with the promise, and with what is `instead`, if it takes longer."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not condition():
        is_late = asyncio.get_running_loop().time() >= deadline
        assert not is_late, f"not within {within_s} s: {promise} {instead()}"
        await asyncio.sleep(0.02)


async def _run(fault: Awaitable[None]) -> None:
    await fault


def _is_over(task: asyncio.Task[None]) -> bool:
    if task.done():
        task.result()
    return task.done()
