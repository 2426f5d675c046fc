"""Every change that reaches behind a log's end, with a power cut before each thing it does to the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from tests.sim.log_follower import Follower
from tests.sim.seeds import seeds
from tests.sim.simulation import Simulation, run_simulation
from tests.unit.broker.log_manager.host import until_flushed

SEEDS = seeds(2)

Change = Callable[[Follower, LogManager, PartitionLog], Coroutine[Any, Any, None]]


class PowerCutError(Exception):
    """The machine dies here, before the next thing that it would do to its disk."""


async def push_and_flush(follower: Follower, manager: LogManager, log: PartitionLog) -> None:
    for _ in range(4):
        await follower.push(manager, log)
        await until_flushed(log)
        follower.flushed(log)


CHANGES: dict[str, Change] = {
    "cut within the last segment": lambda follower, manager, log: follower.truncate(
        manager, log, (log.segments[-1].base_offset + log.log_end_offset) // 2
    ),
    "cut at the last segment's beginning": lambda follower, manager, log: follower.truncate(
        manager, log, log.segments[-1].base_offset
    ),
    "cut within an old segment": lambda follower, manager, log: follower.truncate(
        manager, log, log.segments[-3].base_offset + 3
    ),
    "cut everything": lambda follower, manager, log: follower.truncate(manager, log, log.log_start_offset),
    "begin anew in front": lambda follower, manager, log: follower.begin_anew(manager, log, 1000),
    "begin anew behind": lambda follower, manager, log: follower.begin_anew(manager, log, 3),
    "begin anew at a segment": lambda follower, manager, log: follower.begin_anew(
        manager, log, log.segments[-2].base_offset
    ),
    "quarantine": lambda follower, manager, log: follower.quarantine(manager, log),
    "push and flush": push_and_flush,
}


async def cut_power_before(simulation: Simulation, step: int, change: Change) -> bool:
    """Change a log, and cut the power before that step of it. False if the change has fewer."""
    follower = Follower(simulation)
    manager, log = await follower.begin_life()
    await follower.begin_anew(manager, log, 10)
    while len(log.segments) < 4:
        await push_and_flush(follower, manager, log)
    await manager.checkpoint()
    await follower.push(manager, log)
    steps, died = 0, asyncio.Event()
    check = follower.host.disk.check

    def count_step(operation: str, path: Path) -> None:
        nonlocal steps
        if operation != "read":
            steps += 1
            if steps > step:
                died.set()
                raise PowerCutError
        check(operation, path)  # type: ignore[arg-type]

    follower.host.disk.check = count_step  # type: ignore[method-assign]
    changing = follower.host.machine.spawn(change(follower, manager, log))
    changing.add_done_callback(lambda task: task.cancelled() or task.exception())  # it dies with the machine
    dying = asyncio.ensure_future(died.wait())
    await asyncio.wait([changing, dying], return_when=asyncio.FIRST_COMPLETED)
    dying.cancel()
    if not died.is_set():
        changing.result()
    follower.host.disk.check = check  # type: ignore[method-assign]
    follower.host.die(power_cut=True)
    for _ in range(2):
        manager, log = await follower.begin_life()
        await push_and_flush(follower, manager, log)
        follower.host.die(power_cut=True)
    await follower.begin_life()
    return died.is_set()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_made_or_not_or_stands_between_whatever_step_the_power_cut_hits(change: str) -> None:
    for seed in SEEDS:
        for step in count():
            try:
                if not run_simulation(seed, lambda sim, at=step: cut_power_before(sim, at, CHANGES[change])):
                    assert step > 5, "the change did next to nothing"
                    break
            except BaseException as failure:
                failure.add_note(f"seed {seed}, step {step}")
                raise
