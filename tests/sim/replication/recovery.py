"""After the last fault: in bounded time everything is whole again, and all that was promised is there."""

from __future__ import annotations

import asyncio

from tests.sim.replication.world import FINAL_READER, World
from tests.sim.seed_run import until


async def recover(world: World) -> None:
    """Somebody decides, all replicas are in sync, everybody makes progress, everything is read."""
    await until(lambda: world.active() is not None, 15, "there is an active coordinator")
    await until(lambda: _all_live(world), 20, "every broker is unfenced")
    await until(lambda: not _without_leader(world, by_force=False), 20, "partitions have leaders")
    await _force_leaders(world)
    await until(
        lambda: not _out_of_sync(world),
        30,
        "every replica is in sync",
        instead=lambda: _out_of_sync(world),
    )
    written = [writer.acknowledged for writer in world.writers]
    await until(
        lambda: all(
            writer.acknowledged > before for writer, before in zip(world.writers, written, strict=True)
        ),
        20,
        "every writer makes progress",
    )
    await world.stop_writers()
    world.read_again()
    await until(
        lambda: not _unread(world), 30, "readers have read everything", instead=lambda: _unread(world)
    )
    await until(
        lambda: not _different(world), 10, "all replicas are the same", instead=lambda: _different(world)
    )
    await world.stop_readers()
    for ledger in world.ledgers.values():
        ledger.settle()


async def _force_leaders(world: World) -> None:
    """A broker may be fenced once more for a moment: an operator who is refused asks again."""
    async with asyncio.timeout(20):
        while _without_leader(world, by_force=True):
            await world.force_leaders()
            await asyncio.sleep(0.5)


def _all_live(world: World) -> bool:
    image = world.judge.metadata.image
    return all(number in image.brokers and not image.brokers[number].fenced for number in world.brokers)


def _without_leader(world: World, *, by_force: bool) -> bool:
    """Some partition has none; those that need force to get one count only with `by_force`."""
    images = [world.partition_image(each) for each in world.ledgers]
    return any(not image.leader and (by_force or not image.last_members) for image in images)


def _out_of_sync(world: World) -> list[str]:
    """Or without a leader, or being moved."""
    metadata = world.judge.metadata
    return [
        f"{metadata.name_of(partition)} {partition[2:3]} {partition[4:]}"
        for topic in metadata.image.topics.values()
        for partition in topic.partitions
        if set(partition.isr) != set(partition.replicas)
        or not partition.leader
        or partition.adding_replicas
        or partition.removing_replicas
    ]


def _unread(world: World) -> list[str]:
    """Readers that have not come to the end of what is committed."""
    return [
        f"{reader} at {ledger.position(reader)} of {ledger.name}, {world.history(each).committed_end}"
        for each, ledger in world.ledgers.items()
        for reader in ("reader-1", "reader-2", FINAL_READER)
        if ledger.position(reader) < world.history(each).committed_end
    ]


def _different(world: World) -> list[str]:
    """Replicas that do not end where what is committed ends, now that nothing is written any more."""
    return [
        f"{replica.name} ends at {replica.end_offset}, high watermark {replica.high_watermark}, "
        f"committed {history.committed_end}"
        for each in world.ledgers
        for history in (world.history(each),)
        for replica in map(history.replica, world.partition_image(each).replicas)
        if not replica.end_offset == replica.high_watermark == history.committed_end
    ]
