"""What may go wrong with any process, disk, clock or link of a simulated world.

A fault chooses its victims, lasts for a while, and is over as it returns. While it looks after a host it has
its name in `busy`: nobody else starts or stops it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any, Protocol

from tests.sim.network import Fabric
from tests.sim.simulation import Simulation
from tests.sim.victim import Victim


class FaultyWorld(Protocol):
    """What faults need to know of a world."""

    simulation: Simulation
    fabric: Fabric
    busy: set[str]

    def pick(self, rng: random.Random) -> Any:
        """A Victim that is up and not busy; None: there is none."""
        ...

    def names(self) -> Sequence[str]:
        """Of the hosts between which links may be cut."""
        ...

    def sides(self, rng: random.Random) -> tuple[list[str], list[str]]:
        """These names, split in two."""
        ...


def note(world: FaultyWorld, kind: str, detail: object = "") -> None:
    world.simulation.note(kind, str(detail))


async def down_for(world: FaultyWorld, host: Victim, seconds: float) -> None:
    """The host's process is down: start it again after a while."""
    await asyncio.sleep(seconds)
    if not host.is_up:
        host.start()
        note(world, "started", host.name)
    world.busy.discard(host.name)


# --- processes ---


async def kill(world: FaultyWorld, rng: random.Random) -> None:
    host = world.pick(rng)
    if host is not None:
        world.busy.add(host.name)
        note(world, "killed", host.name)
        host.kill()
        await down_for(world, host, rng.uniform(0.0, 4.0))


async def cut_power(world: FaultyWorld, rng: random.Random) -> None:
    host = world.pick(rng)
    if host is not None:
        world.busy.add(host.name)
        note(world, "power cut", host.name)
        host.cut_power()
        await down_for(world, host, rng.uniform(0.0, 4.0))


async def stop(world: FaultyWorld, rng: random.Random) -> None:
    """SIGSTOP, and SIGCONT later."""
    host = world.pick(rng)
    if host is None:
        return
    world.busy.add(host.name)
    note(world, "stopped", host.name)
    machine = host.machine
    machine.process.pause()
    await asyncio.sleep(rng.choice((rng.uniform(0.1, 1.5), rng.uniform(1.0, 6.0))))
    if host.machine is machine:
        machine.process.resume()
        note(world, "continued", host.name)
    world.busy.discard(host.name)


# --- disks ---


async def slow_disk(world: FaultyWorld, rng: random.Random) -> None:
    """Flushes take long, or do not end for a while."""
    host = world.pick(rng)
    if host is None:
        return
    machine = host.machine
    if rng.random() < 0.3:
        note(world, "disk hangs", host.name)
        machine.workers.stall()
    else:
        note(world, "disk slow", host.name)
        machine.workers.delay_s = (0.01, rng.choice((0.1, 1.0)))
    await asyncio.sleep(rng.uniform(0.5, 5.0))
    machine.workers.delay_s = host.flush_s
    machine.workers.resume()


# --- clocks ---


async def jump_clock(world: FaultyWorld, rng: random.Random) -> None:
    host = world.pick(rng)
    if host is not None:
        note(world, "clock jump", host.name)
        host.machine.clock.jump(rng.choice((-1, 1)) * rng.randrange(1, 7_200_000))


async def change_clock_rate(world: FaultyWorld, rng: random.Random) -> None:
    host = world.pick(rng)
    if host is not None:
        host.clock_rate = rng.uniform(0.9, 1.1)  # so that two machines differ by a fifth at most
        note(world, "clock drift", f"{host.name} {host.clock_rate:.3f}")
        host.machine.clock.run_at(host.clock_rate)


# --- links ---


async def cut_one_way(world: FaultyWorld, rng: random.Random) -> None:
    one, other = rng.sample(world.names(), 2)
    note(world, "cut one way", f"{one} > {other}")
    await cut(world, [(one, other)], rng)


async def cut_both_ways(world: FaultyWorld, rng: random.Random) -> None:
    one, other = rng.sample(world.names(), 2)
    note(world, "cut both ways", f"{one} - {other}")
    await cut(world, [(one, other), (other, one)], rng)


async def split(world: FaultyWorld, rng: random.Random) -> None:
    """Two sides that do not hear each other, or one of which does not hear the other."""
    here, there = world.sides(rng)
    links = [(one, other) for one in here for other in there]
    back = [(other, one) for one, other in links]
    links = rng.choice((links + back, links + back, links, back))
    note(world, "split", f"{' '.join(here)} | {' '.join(there)}")
    await cut(world, links, rng)


async def break_connections(world: FaultyWorld, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 6)):
        one, other = rng.sample(world.names(), 2)
        note(world, "connections broken", f"{one} - {other}")
        world.fabric.break_connections(one, other)
        await asyncio.sleep(rng.uniform(0.0, 0.5))


async def cut(world: FaultyWorld, links: list[tuple[str, str]], rng: random.Random) -> None:
    """Nothing goes from the first of each pair to the second, for a while."""
    for source, target in links:
        world.fabric.cut(source, target)
    await asyncio.sleep(rng.choice((rng.uniform(0.1, 2.0), rng.uniform(1.0, 8.0), rng.uniform(10.0, 20.0))))
    for source, target in links:
        world.fabric.mend(source, target)


def shuffled_sides(
    names: Sequence[str], first: str | None, rng: random.Random
) -> tuple[list[str], list[str]]:
    """Two sides by lot; `first`, if there is one, is alone or with a few as often as anybody."""
    order = list(names)
    rng.shuffle(order)
    if first is not None and rng.random() < 0.5:
        order.sort(key=lambda name: name != first)
    place = rng.randint(1, len(order) - 1)
    return order[:place], order[place:]
