"""What may go wrong with a quorum, besides what may go wrong anywhere."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from streamkeep_common.methods import EXCHANGE
from tests.sim.faults import (
    break_connections,
    change_clock_rate,
    cut,
    cut_both_ways,
    cut_one_way,
    cut_power,
    down_for,
    jump_clock,
    kill,
    note,
    slow_disk,
    split,
    stop,
)
from tests.sim.network_weather import MessageWeather
from tests.sim.quorum.cluster import CoordinatorHost
from tests.sim.quorum.world import World
from tests.sim.victim import ROOM_BYTES

Fault = Callable[[World, random.Random], Awaitable[None]]


# --- processes ---


async def cut_power_at_a_promise(world: World, rng: random.Random) -> None:
    """Just when somebody has promised something: what is not on its disk by now never will be."""
    promises = rng.choice((("vote",), ("vote", "acknowledgement")))
    said: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def listen(kind: str, number: int) -> None:
        if kind in promises and world.hosts[number].name not in world.busy and not said.done():
            said.set_result(number)

    world.judge.listeners.append(listen)
    if "acknowledgement" not in promises:
        await kill(world, rng)
    try:
        async with asyncio.timeout(4):
            host = world.hosts[await said]
    except TimeoutError:
        return
    finally:
        world.judge.listeners.remove(listen)
    if host.is_up and host.name not in world.busy:
        world.busy.add(host.name)
        note(world, "power cut", f"{host.name}, as it had promised something")
        host.cut_power()
        await down_for(world, host, rng.uniform(0.0, 0.5))


async def restart_all(world: World, rng: random.Random) -> None:
    """The lights go out, or everybody is killed."""
    hosts = [host for host in world.hosts.values() if host.is_up and host.name not in world.busy]
    power = rng.random() < 0.5
    note(world, "all restarted", "power cut" if power else "killed")
    for host in hosts:
        world.busy.add(host.name)
        host.cut_power() if power else host.kill()
    await asyncio.gather(*(down_for(world, host, rng.uniform(0.0, 1.5)) for host in hosts))


# --- disks ---


async def damage(world: World, rng: random.Random) -> None:
    """A data directory is emptied, cut short or flipped while its process is down.

    One fault at a time: that a log was cut short is known from marks, which are written beside it and not
    flushed, so a power cut in the same moment may take the proof away.
    """
    host = world.pick(rng)
    if host is None or not world.may_damage(host.number):
        return
    world.busy.add(host.name)
    if world.directory_of(host.number):
        world.damaged[host.number] = world.directory_of(host.number)
    kind = rng.choice(("directory emptied", "bit flipped", "file truncated"))
    if kind == "directory emptied" and rng.random() < 0.5:
        host.cut_power()
    else:
        host.kill()
    if kind == "directory emptied" or not host.files():
        host.empty_directory()
        note(world, "directory emptied", host.name)
    elif kind == "bit flipped":
        note(world, kind, f"{host.name} {host.flip_a_bit(rng)}")
    else:
        note(world, kind, f"{host.name} {host.truncate_a_file(rng)}")
    await down_for(world, host, rng.uniform(0.0, 3.0))


async def fill_disk(world: World, rng: random.Random) -> None:
    host = world.pick(rng)
    if host is None:
        return
    note(world, "disk full", host.name)
    host.disk.set_capacity(host.disk.used() + rng.choice((0, rng.randrange(2_000))))
    await _until_it_ends(world, host, rng)
    host.disk.set_capacity(ROOM_BYTES)
    await down_for(world, host, rng.uniform(0.0, 1.0))


async def fail_syncs(world: World, rng: random.Random) -> None:
    """What was written is not on the disk, though it can be read: the machine is not trusted any more."""
    host = world.pick(rng)
    if host is None:
        return
    note(world, "sync failed", host.name)
    host.disk.fail("sync")
    await _until_it_ends(world, host, rng)
    if host.is_up:
        host.cut_power()
    else:
        host.disk.power_cut()
    host.disk.heal()
    await down_for(world, host, rng.uniform(0.0, 1.0))


async def _until_it_ends(world: World, host: CoordinatorHost, rng: random.Random) -> None:
    world.busy.add(host.name)
    world.expects_end.add(host.number)
    for _ in range(100):
        if not host.is_up:
            break
        await asyncio.sleep(0.05)
    world.expects_end.discard(host.number)


# --- the network between coordinators ---


async def worsen_weather(world: World, rng: random.Random) -> None:
    """Much more of what happens to single messages, for a while."""
    note(world, "bad weather")
    world.fabric.weather.of_messages[EXCHANGE.path] = MessageWeather(
        drop_odds=rng.uniform(0, 0.4), duplicate_odds=rng.uniform(0, 0.3), late_odds=rng.uniform(0, 0.5)
    )
    await asyncio.sleep(rng.uniform(2, 8))
    world.bad_weather()


# --- the members ---


async def transfer_leadership(world: World, rng: random.Random) -> None:
    voters = world.voters()
    if voters:
        await world.simulation_task(world.operator.transfer(rng.choice([0, *voters])))


async def change_members(world: World, rng: random.Random) -> None:
    """One comes, if there is one outside; else one goes and comes back, perhaps with an empty directory."""
    outside = [
        number for number in world.hosts if number not in world.members() and not world.is_busy(number)
    ]
    if outside and rng.random() < 0.7:
        await world.simulation_task(world.operator.add(rng.choice(outside)))
        return
    world.settle_damage()
    candidates = [number for number in world.voters() if not world.is_busy(number)]
    if world.damaged or world.quorum_is_changing() or len(world.voters()) < 3 or not candidates:
        return
    number = rng.choice(candidates)
    world.leaving[number] = None
    world.removals += 1
    is_removed = await world.simulation_task(world.operator.remove(number))
    world.removals -= 1
    if is_removed:
        await asyncio.sleep(rng.uniform(0.0, 3.0))
        if rng.random() < 0.5 and number not in world.members() and not world.is_busy(number):
            await _wipe(world, world.hosts[number], rng)
        await world.simulation_task(world.operator.add(number))


async def _wipe(world: World, host: CoordinatorHost, rng: random.Random) -> None:
    """Nobody's directory any more: as an operator does before the machine is given back."""
    world.busy.add(host.name)
    if host.is_up:
        host.kill()
    host.empty_directory()
    await down_for(world, host, rng.uniform(0.0, 1.0))


# --- brokers ---


async def kill_broker(world: World, rng: random.Random) -> None:
    broker = world.brokers[rng.choice(list(world.brokers))]
    with world.troubles.of(broker.number):
        if broker.machine is None:
            return
        note(world, "broker killed", broker.name)
        broker.kill()
        await asyncio.sleep(rng.uniform(0.0, 5.0))
        if broker.machine is None:
            broker.start()
        await asyncio.sleep(5.0)


async def cut_broker_off(world: World, rng: random.Random) -> None:
    """From some coordinators, one way or both."""
    broker = world.brokers[rng.choice(list(world.brokers))]
    names = [host.name for host in world.hosts.values()]
    chosen = rng.sample(names, rng.randint(1, len(names)))
    ways = rng.choice(((True, False), (False, True), (True, True)))
    links = [(broker.name, name) for name in chosen if ways[0]] + [
        (name, broker.name) for name in chosen if ways[1]
    ]
    note(world, "broker cut off", f"{broker.name} {' '.join(chosen)}")
    with world.troubles.of(broker.number):
        await cut(world, links, rng)


FAULTS: dict[Fault, int] = {
    kill: 4,
    cut_power: 4,
    cut_power_at_a_promise: 4,
    stop: 4,
    restart_all: 2,
    damage: 5,
    fill_disk: 2,
    fail_syncs: 2,
    slow_disk: 3,
    jump_clock: 1,
    change_clock_rate: 1,
    cut_one_way: 3,
    cut_both_ways: 2,
    split: 4,
    break_connections: 2,
    worsen_weather: 3,
    transfer_leadership: 3,
    change_members: 4,
    kill_broker: 2,
    cut_broker_off: 2,
}
"""And how often each is chosen, relative to the others."""
