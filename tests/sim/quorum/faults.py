"""Everything that may go wrong. A fault chooses its victims, lasts for a while, and is over as it returns."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable

from streamkeep_common.methods import EXCHANGE
from tests.sim.network_weather import MessageWeather
from tests.sim.quorum.cluster import CoordinatorHost
from tests.sim.quorum.world import ROOM_BYTES, World

Fault = Callable[[World, random.Random], Awaitable[None]]


def pick(world: World, rng: random.Random, among: Iterable[int] | None = None) -> CoordinatorHost | None:
    """A running member that no other fault is looking after; the active one more often than others."""
    numbers = list(world.hosts if among is None else among)
    free = [number for number in numbers if number not in world.busy and world.hosts[number].is_up]
    active = world.active()
    if active is not None and active.number in free and rng.random() < 0.4:
        return active
    return world.hosts[rng.choice(free)] if free else None


def note(world: World, kind: str, detail: object = "") -> None:
    world.simulation.note(kind, str(detail))


async def down_for(world: World, host: CoordinatorHost, seconds: float) -> None:
    """The host's process is down: start it again after a while."""
    await asyncio.sleep(seconds)
    if not host.is_up:
        host.start()
        note(world, "started", host.name)
    world.busy.discard(host.number)


# --- processes ---


async def kill(world: World, rng: random.Random) -> None:
    host = pick(world, rng)
    if host is not None:
        world.busy.add(host.number)
        note(world, "killed", host.name)
        host.kill()
        await down_for(world, host, rng.uniform(0.0, 4.0))


async def cut_power(world: World, rng: random.Random) -> None:
    host = pick(world, rng)
    if host is not None:
        world.busy.add(host.number)
        note(world, "power cut", host.name)
        host.cut_power()
        await down_for(world, host, rng.uniform(0.0, 4.0))


async def cut_power_at_a_promise(world: World, rng: random.Random) -> None:
    """Just when somebody has promised something: what is not on its disk by now never will be."""
    promises = rng.choice((("vote",), ("vote", "acknowledgement")))
    said: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def listen(kind: str, number: int) -> None:
        if kind in promises and number not in world.busy and not said.done():
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
    if host.is_up and host.number not in world.busy:
        world.busy.add(host.number)
        note(world, "power cut", f"{host.name}, as it had promised something")
        host.cut_power()
        await down_for(world, host, rng.uniform(0.0, 0.5))


async def stop(world: World, rng: random.Random) -> None:
    """SIGSTOP, and SIGCONT later."""
    host = pick(world, rng)
    if host is None:
        return
    world.busy.add(host.number)
    note(world, "stopped", host.name)
    machine = host.machine
    assert machine is not None
    machine.process.pause()
    await asyncio.sleep(rng.choice((rng.uniform(0.1, 1.5), rng.uniform(1.0, 6.0))))
    if host.machine is machine:
        machine.process.resume()
        note(world, "continued", host.name)
    world.busy.discard(host.number)


async def restart_all(world: World, rng: random.Random) -> None:
    """The lights go out, or everybody is killed."""
    hosts = [host for host in world.hosts.values() if host.is_up and host.number not in world.busy]
    power = rng.random() < 0.5
    note(world, "all restarted", "power cut" if power else "killed")
    for host in hosts:
        world.busy.add(host.number)
        host.cut_power() if power else host.kill()
    await asyncio.gather(*(down_for(world, host, rng.uniform(0.0, 1.5)) for host in hosts))


# --- disks ---


async def damage(world: World, rng: random.Random) -> None:
    """A data directory is emptied, cut short or flipped while its process is down.

    One fault at a time: that a log was cut short is known from marks, which are written beside it and not
    flushed, so a power cut in the same moment may take the proof away.
    """
    host = pick(world, rng)
    if host is None or not world.may_damage(host.number):
        return
    world.busy.add(host.number)
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
    host = pick(world, rng)
    if host is None:
        return
    note(world, "disk full", host.name)
    host.disk.set_capacity(host.disk.used() + rng.choice((0, rng.randrange(2_000))))
    await _until_it_ends(world, host, rng)
    host.disk.set_capacity(ROOM_BYTES)
    await down_for(world, host, rng.uniform(0.0, 1.0))


async def fail_syncs(world: World, rng: random.Random) -> None:
    """What was written is not on the disk, though it can be read: the machine is not trusted any more."""
    host = pick(world, rng)
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
    world.busy.add(host.number)
    world.expects_end.add(host.number)
    for _ in range(100):
        if not host.is_up:
            break
        await asyncio.sleep(0.05)
    world.expects_end.discard(host.number)


async def slow_disk(world: World, rng: random.Random) -> None:
    """Flushes take long, or do not end for a while."""
    host = pick(world, rng)
    if host is None:
        return
    note(world, "disk slow", host.name)
    machine = host.machine
    assert machine is not None
    if rng.random() < 0.3:
        machine.workers.stall()
    else:
        machine.workers.delay_s = (0.01, rng.choice((0.1, 1.0)))
    await asyncio.sleep(rng.uniform(0.5, 5.0))
    machine.workers.delay_s = host.flush_s
    machine.workers.resume()


# --- clocks ---


async def jump_clock(world: World, rng: random.Random) -> None:
    host = pick(world, rng)
    if host is not None and host.machine is not None:
        note(world, "clock jump", host.name)
        host.machine.clock.jump(rng.choice((-1, 1)) * rng.randrange(1, 7_200_000))


async def change_clock_rate(world: World, rng: random.Random) -> None:
    host = pick(world, rng)
    if host is not None and host.machine is not None:
        host.clock_rate = rng.uniform(0.9, 1.1)  # so that two machines differ by a fifth at most
        note(world, "clock drift", f"{host.name} {host.clock_rate:.3f}")
        host.machine.clock.run_at(host.clock_rate)


# --- the network between coordinators ---


async def cut_one_way(world: World, rng: random.Random) -> None:
    one, other = _two(world, rng)
    note(world, "cut one way", f"{one} > {other}")
    await _cut(world, [(one, other)], rng)


async def cut_both_ways(world: World, rng: random.Random) -> None:
    one, other = _two(world, rng)
    note(world, "cut both ways", f"{one} - {other}")
    await _cut(world, [(one, other), (other, one)], rng)


async def split(world: World, rng: random.Random) -> None:
    """Two sides that do not hear each other, or one of which does not hear the other."""
    names = [host.name for host in world.hosts.values()]
    rng.shuffle(names)
    active = world.active()
    if active is not None and rng.random() < 0.5:
        names.sort(key=lambda name: name != active.name)
    place = rng.randint(1, len(names) - 1)
    here, there = names[:place], names[place:]
    links = [(one, other) for one in here for other in there]
    back = [(other, one) for one, other in links]
    links = rng.choice((links + back, links + back, links, back))
    note(world, "split", f"{' '.join(here)} | {' '.join(there)}")
    await _cut(world, links, rng)


async def break_connections(world: World, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 6)):
        one, other = _two(world, rng)
        note(world, "connections broken", f"{one} - {other}")
        world.fabric.break_connections(one, other)
        await asyncio.sleep(rng.uniform(0.0, 0.5))


async def worsen_weather(world: World, rng: random.Random) -> None:
    """Much more of what happens to single messages, for a while."""
    note(world, "bad weather")
    world.fabric.weather.of_messages[EXCHANGE.path] = MessageWeather(
        drop_odds=rng.uniform(0, 0.4), duplicate_odds=rng.uniform(0, 0.3), late_odds=rng.uniform(0, 0.5)
    )
    await asyncio.sleep(rng.uniform(2, 8))
    world.bad_weather()


async def _cut(world: World, links: list[tuple[str, str]], rng: random.Random) -> None:
    for source, target in links:
        world.fabric.cut(source, target)
    await asyncio.sleep(rng.choice((rng.uniform(0.1, 2.0), rng.uniform(1.0, 8.0), rng.uniform(10.0, 20.0))))
    for source, target in links:
        world.fabric.mend(source, target)


def _two(world: World, rng: random.Random) -> tuple[str, str]:
    one, other = rng.sample([host.name for host in world.hosts.values()], 2)
    return one, other


# --- the members ---


async def transfer_leadership(world: World, rng: random.Random) -> None:
    voters = world.voters()
    if voters:
        await world.simulation_task(world.operator.transfer(rng.choice([0, *voters])))


async def change_members(world: World, rng: random.Random) -> None:
    """One comes, if there is one outside; else one goes and comes back, perhaps with an empty directory."""
    outside = [number for number in world.hosts if number not in world.members() and number not in world.busy]
    if outside and rng.random() < 0.7:
        await world.simulation_task(world.operator.add(rng.choice(outside)))
        return
    world.settle_damage()
    candidates = [number for number in world.voters() if number not in world.busy]
    if world.damaged or world.quorum_is_changing() or len(world.voters()) < 3 or not candidates:
        return
    number = rng.choice(candidates)
    if await world.simulation_task(world.operator.remove(number)):
        await asyncio.sleep(rng.uniform(0.0, 3.0))
        if rng.random() < 0.5 and number not in world.members() and number not in world.busy:
            await _wipe(world, world.hosts[number], rng)
        await world.simulation_task(world.operator.add(number))


async def _wipe(world: World, host: CoordinatorHost, rng: random.Random) -> None:
    """Nobody's directory any more: as an operator does before the machine is given back."""
    world.busy.add(host.number)
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
        await _cut(world, links, rng)


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
