"""Runs an asynchronous function in a simulated world, and cleans the world up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tests.sim.clock import SimClock
from tests.sim.loop import SimLoop
from tests.sim.network import Fabric, SimNetwork
from tests.sim.processes import SimProcess
from tests.sim.trace import Trace
from tests.sim.workers import SimWorkers

T = TypeVar("T")

BURIAL_STEPS = 1_000_000


class Machine:
    """One process on a host of its own, with what its components take through their constructors."""

    def __init__(self, simulation: Simulation, name: str, incarnation: int) -> None:
        self.process = SimProcess(name)
        self.clock = SimClock()
        self.rng = simulation.rng(f"{name}/{incarnation}/random")
        self.workers = SimWorkers(simulation.rng(f"{name}/{incarnation}/workers"))
        self.network: SimNetwork = simulation.fabric.join(self.process)

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        return self.process.spawn(coroutine)

    def kill(self) -> None:
        self.process.kill()


class Simulation:
    """The world: one loop, one fabric between hosts, a random source by name for each user of chance."""

    def __init__(self, seed: int, loop: SimLoop, *, keep_trace: bool) -> None:
        self.seed = seed
        self.loop = loop
        self.trace = Trace(keep=keep_trace)
        self.fabric = Fabric(loop, self.rng("network"), self.trace)
        self.processes: list[SimProcess] = []

    def rng(self, purpose: str) -> random.Random:
        """Equal seed and purpose give equal numbers, whatever else draws."""
        return random.Random(f"{self.seed}/{purpose}")

    def machine(self, name: str) -> Machine:
        """A new process on the host `name`: for a restart, after the old one was killed or has ended."""
        machine = Machine(self, name, incarnation=sum(process.name == name for process in self.processes))
        self.processes.append(machine.process)
        return machine

    def note(self, kind: str, detail: str = "") -> None:
        self.trace.note(self.loop.time(), kind, detail)


def run_simulation(
    seed: int,
    function: Callable[[Simulation], Coroutine[Any, Any, T]],
    *,
    max_time_s: float = 3_600.0,
    max_steps: int = 5_000_000,
    keep_trace: bool = False,
) -> T:
    """Run `function` to its end and give its result.

    Raises what it raises; SimDeadlockError, SimTimeoutError; and AssertionError if anything died unseen.
    """
    loop = SimLoop(random.Random(f"{seed}/schedule"), max_time_s=max_time_s, max_steps=max_steps)
    unseen: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: unseen.append(context))
    simulation = Simulation(seed, loop, keep_trace=keep_trace)
    try:
        result = loop.run_until_complete(function(simulation))
        assert not unseen, f"seed {seed}: died unseen: {unseen}"
        return result
    finally:
        _bury(loop, simulation)


def _bury(loop: SimLoop, simulation: Simulation) -> None:
    """End what still runs, so that nothing of it is left to the garbage collector.

    The dead rise for it: a task that is never resumed could not even be cancelled. What they do now
    happens after the end of the simulation, and nobody looks.
    """
    loop.set_exception_handler(lambda _loop, _context: None)
    loop.after_step = None
    loop.allow(BURIAL_STEPS)
    for process in simulation.processes:
        process.rise(loop)
    while tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
