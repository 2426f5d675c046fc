"""One seed from beginning to end: a cluster, faults for a minute, then peace, and all must come right."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, deque
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from unittest.mock import patch

from streamkeep_coordinator import snapshotter
from tests.sim.linearizability import check
from tests.sim.quorum.faults import FAULTS
from tests.sim.quorum.violation import InvariantError
from tests.sim.quorum.world import World
from tests.sim.simulation import Simulation, run_simulation

FAULTY_S = 60.0
MIN_FAULTS = 20
PAUSE_S = (0.3, 3.0)
CONCURRENT_FAULTS = 4
TRAILING_ENTRIES = 5
"""Few, so that snapshots have to be sent; the shipping window would hold all that ever happens here."""
LINEARIZABLE = "the history of each topic name is linearizable"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a seed. `time_s` is virtual."""

    counts: Counter[str]
    time_s: float
    digest: str
    trace: tuple[str, ...] = ()


async def story(simulation: Simulation) -> Result:
    world = World(simulation)
    await world.begin()
    await trouble(world, simulation.rng("faults"))
    simulation.note("healed")
    world.heal()
    await recover(world)
    verdict = check(world.history)
    if not verdict.linearizable:
        raise InvariantError(LINEARIZABLE, verdict.explanation)
    return Result(simulation.trace.counts, simulation.loop.time(), simulation.trace.digest())


async def trouble(world: World, rng: random.Random) -> None:
    """Faults, some at once, for at least FAULTY_S and MIN_FAULTS of them. Each seed has its favourites."""
    loop = asyncio.get_running_loop()
    kinds = list(FAULTS)
    favoured = rng.sample(kinds, rng.randint(len(kinds) // 2, len(kinds)))
    weights = [FAULTS[kind] for kind in favoured]
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


async def _run(fault: Awaitable[None]) -> None:
    await fault


def _is_over(task: asyncio.Task[None]) -> bool:
    if task.done():
        task.result()
    return task.done()


async def recover(world: World) -> None:
    """Within bounded time: somebody decides, everybody can write, all have the same, nobody is missing."""
    await world.until(lambda: world.active() is not None, 10, "there is an active coordinator")
    writes = [client.writes_done for client in world.clients]
    await world.until(
        lambda: all(
            client.writes_done > before for client, before in zip(world.clients, writes, strict=True)
        ),
        30,
        "every client has written something",
    )
    await world.until(lambda: _is_whole(world), 40, "damaged directories are replaced and vote again")
    for client in world.clients:
        client.stop()
    await world.until(lambda: _is_even(world), 20, "all members have the same, and so have brokers")


def _is_whole(world: World) -> bool:
    world.settle_damage()
    members = world.judge.quorum.members
    own = {
        inside.local.directory_id for host in world.up() if (inside := world.judge.seat_of(host)) is not None
    }
    return not world.damaged and all(each.voter and each.directory_id in own for each in members)


def _is_even(world: World) -> bool:
    index = world.judge.agreement.committed_index
    for number in world.members():
        inside = world.judge.seat_of(world.hosts[number])
        if (
            inside is None
            or inside.driver.node.log.last_index != index
            or inside.images.committed.index != index
        ):
            return False
    return all(
        broker.watch.image.index == index and not broker.session.fenced for broker in world.brokers.values()
    )


class SeedFailedError(Exception):
    """A seed failed; what led to it, for people."""

    def __init__(self, seed: int, reason: BaseException, last: list[str]) -> None:
        super().__init__(f"seed {seed}: {type(reason).__name__}: {reason}")
        self.seed = seed
        self.reason = reason
        self.last = last


def run_seed(seed: int, *, keep_trace: bool = False, last: int = 100) -> Result:
    """Raises SeedFailedError, with the last events (all of them, network too, with `keep_trace`)."""
    recent: deque[str] = deque(maxlen=None if keep_trace else last)

    async def remember(simulation: Simulation) -> Result:
        simulation.trace.remember(recent, all_kinds=keep_trace)
        return await story(simulation)

    logging.disable(logging.CRITICAL)
    try:
        with patch.object(snapshotter, "TRAILING_ENTRIES", TRAILING_ENTRIES):
            result = run_simulation(seed, remember, max_time_s=600)
    except Exception as reason:  # whatever it is, its seed must be known
        raise SeedFailedError(seed, reason, list(recent)) from reason
    finally:
        logging.disable(logging.NOTSET)
    return replace(result, trace=tuple(recent)) if keep_trace else result
