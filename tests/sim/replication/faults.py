"""What may go wrong with replicas, besides what may go wrong anywhere; and what operators do meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from streamkeep_common.methods import EXCHANGE
from tests.sim import faults
from tests.sim.faults import cut, down_for, note
from tests.sim.network_weather import MessageWeather
from tests.sim.replication.hosts import BrokerHost
from tests.sim.replication.world import World
from tests.sim.victim import ROOM_BYTES

Fault = Callable[[World, random.Random], Awaitable[None]]


# --- processes ---


async def cut_power(world: World, rng: random.Random) -> None:
    """In a world where that does not happen the process is killed instead."""
    await (faults.cut_power if world.plan.power_may_fail else faults.kill)(world, rng)


async def kill_broker(world: World, rng: random.Random) -> None:
    """Back at once, or after it was fenced."""
    host = world.pick_broker(rng)
    if host is not None:
        await _kill_all(world, [host], rng)


async def kill_leader(world: World, rng: random.Random) -> None:
    """Of some partition; perhaps the active coordinator with it."""
    host = _leader_of_any(world, rng)
    if host is None:
        return
    active = world.active()
    if active is not None and active.name not in world.busy and rng.random() < 0.3:
        note(world, "coordinator and broker killed", f"{active.name} {host.name}")
        world.busy.add(active.name)
        active.kill()
        await asyncio.gather(_kill_all(world, [host], rng), down_for(world, active, rng.uniform(0.0, 5.0)))
    else:
        await _kill_all(world, [host], rng)


async def kill_majority(world: World, rng: random.Random) -> None:
    """Most brokers at once, or all of them; they come back in any order."""
    free = [host for host in world.brokers.values() if host.is_up and host.name not in world.busy]
    count = rng.choice((len(world.brokers) // 2 + 1, len(world.brokers)))
    if len(free) >= count:
        note(world, "majority killed", str(count))
        await _kill_all(world, rng.sample(free, count), rng)


async def _kill_all(world: World, hosts: list[BrokerHost], rng: random.Random) -> None:
    by_power = world.plan.power_may_fail and rng.random() < 0.5
    for host in hosts:
        world.busy.add(host.name)
        note(world, "power cut" if by_power else "killed", host.name)
        host.cut_power() if by_power else host.kill()
    longest_s = rng.choice((0.2, 2.0, 8.0))
    await asyncio.gather(*(down_for(world, host, rng.uniform(0.0, longest_s)) for host in hosts))


async def shut_down(world: World, rng: random.Random) -> None:
    """SIGTERM, and started again."""
    host = world.pick_broker(rng)
    if host is not None:
        await _restart(world, host, rng)


async def rolling_restart(world: World, rng: random.Random) -> None:
    """One broker after the other, each when the one before is back."""
    note(world, "rolling restart")
    for host in world.brokers.values():
        if host.is_up and host.name not in world.busy:
            await _restart(world, host, rng)
            await _patiently(lambda: host.is_ready, 5)  # noqa: B023 - it is awaited here


async def _restart(world: World, host: BrokerHost, rng: random.Random) -> None:
    world.busy.add(host.name)
    note(world, "shut down", host.name)
    await host.shut_down()
    note(world, "has stopped", host.name)
    await down_for(world, host, rng.uniform(0.0, 2.0))


async def _patiently(condition: Callable[[], bool], seconds: float) -> None:
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        await asyncio.sleep(0.05)


def _leader_of_any(world: World, rng: random.Random) -> BrokerHost | None:
    image = world.judge.metadata.image
    numbers = sorted({each.leader for topic in image.topics.values() for each in topic.partitions})
    hosts = [world.brokers[number] for number in numbers if number]
    free = [host for host in hosts if host.is_up and host.name not in world.busy]
    return rng.choice(free) if free else None


# --- disks ---


async def empty_disk(world: World, rng: random.Random) -> None:
    """Of one broker at a time: what two lose at once may be gone for ever."""
    host = world.pick_broker(rng)
    if host is None or not world.may_damage(host):
        return
    world.busy.add(host.name)
    note(world, "directory emptied", host.name)
    host.kill()
    host.empty_directory()
    world.judge.emptied(host)
    await down_for(world, host, rng.uniform(0.0, 3.0))


async def flip_bit(world: World, rng: random.Random) -> None:
    """In a segment of a broker, restarted by it or not. What is kept once only cannot be made good."""
    host = world.pick_broker(rng)
    if host is None or not world.may_damage(host):
        return
    spared = [topic.name for topic in world.plan.topics if topic.replication_factor == 1]
    path = host.flip_a_bit(rng, spared=spared)
    if path is None:
        return
    note(world, "bit flipped", f"{host.name} {path}")
    world.judge.flipped(host, path.parent.name)
    if rng.random() < 0.5:
        world.busy.add(host.name)
        host.kill()
        await down_for(world, host, rng.uniform(0.0, 1.0))


async def fill_disk(world: World, rng: random.Random) -> None:
    """Of a broker, or of all of them; there is room again after a while."""
    everybody = rng.random() < 0.2
    host = world.pick_broker(rng)
    if host is None:
        return
    hosts = list(world.brokers.values()) if everybody else [host]
    note(world, "all disks full" if everybody else "disk full", "" if everybody else host.name)
    for each in hosts:
        world.may_end.add(each.name)
        each.disk.set_capacity(each.disk.used() + rng.choice((0, rng.randrange(4_000))))
    await asyncio.sleep(rng.uniform(1.0, 8.0))
    for each in hosts:
        each.disk.set_capacity(ROOM_BYTES)
        world.may_end.discard(each.name)


# --- operators ---


async def reassign(world: World, rng: random.Random) -> None:
    """Some partitions go to other brokers; it may be called off before that is complete."""
    partitions = rng.sample(list(world.ledgers), rng.randint(1, 3))
    targets = {}
    for topic_partition in partitions:
        image = world.partition_image(topic_partition)
        wanted = len(image.target_replicas)
        if rng.random() < 0.2 and wanted > 1:
            wanted = rng.choice((2, 3))
        targets[topic_partition] = rng.sample(list(world.brokers), min(wanted, len(world.brokers)))
    note(world, "reassignment asked", targets)
    await world.as_operator(world.admin.reassign_partitions(targets))
    if rng.random() < 0.4:
        await asyncio.sleep(rng.uniform(0.0, 1.0))
        note(world, "cancellation asked")
        await world.as_operator(world.admin.cancel_reassignments(partitions))


async def prefer_leaders(world: World, rng: random.Random) -> None:
    note(world, "preferred leaders asked")
    await world.as_operator(world.admin.elect_leaders())


async def delete_records(world: World, rng: random.Random) -> None:
    """Up to any readable offset, which need not be where a batch begins."""
    topic_partition = rng.choice(list(world.ledgers))
    history = world.history(topic_partition)
    before_offset = rng.randint(history.log_start, max(history.log_start, history.committed_end))
    note(world, "records deleted", f"{topic_partition} before {before_offset}")
    await world.as_operator(world.admin.delete_records({topic_partition: before_offset}))


# --- the network ---


async def isolate_leader(world: World, rng: random.Random) -> None:
    """From coordinators, from other brokers, or from both; clients reach it still."""
    host = _leader_of_any(world, rng)
    if host is None:
        return
    coordinators = [each.name for each in world.coordinators.values()]
    brokers = [each.name for each in world.brokers.values() if each is not host]
    others = rng.choice((coordinators, brokers, coordinators + brokers))
    note(world, "leader cut off", f"{host.name} from {' '.join(others)}")
    links = [(host.name, other) for other in others] + [(other, host.name) for other in others]
    await cut(world, links, rng)


async def worsen_weather(world: World, rng: random.Random) -> None:
    """Connections break, messages are slow, and Raft's get lost; for a while."""
    note(world, "bad weather")
    weather = world.fabric.weather
    weather.break_odds = rng.choice((0.0, 0.002))
    weather.spike_odds = rng.choice((0.0, 0.01))
    weather.of_messages[EXCHANGE.path] = MessageWeather(
        drop_odds=rng.uniform(0, 0.2), duplicate_odds=rng.uniform(0, 0.2), late_odds=rng.uniform(0, 0.3)
    )
    await asyncio.sleep(rng.uniform(2, 8))
    world.bad_weather()


FAULTS: dict[Fault, int] = {
    faults.kill: 2,
    cut_power: 3,
    kill_broker: 3,
    kill_leader: 4,
    kill_majority: 2,
    shut_down: 2,
    rolling_restart: 1,
    faults.stop: 4,
    empty_disk: 2,
    flip_bit: 2,
    fill_disk: 2,
    faults.slow_disk: 3,
    faults.jump_clock: 1,
    faults.change_clock_rate: 1,
    faults.cut_one_way: 3,
    faults.cut_both_ways: 2,
    faults.split: 4,
    faults.break_connections: 2,
    isolate_leader: 3,
    reassign: 4,
    prefer_leaders: 1,
    delete_records: 2,
    worsen_weather: 3,
}
"""And how often each is chosen, relative to the others."""
