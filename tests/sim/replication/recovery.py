"""After the last fault: in bounded time everything is whole again, and all that was promised is there."""

from __future__ import annotations

from tests.sim.replication.world import FINAL_READER, World
from tests.sim.seed_run import until


async def recover(world: World) -> None:
    """Somebody decides, all replicas are in sync, everybody makes progress, everything is read."""
    await until(lambda: world.active() is not None, 15, "there is an active coordinator")
    await until(lambda: _all_live(world), 20, "every broker is unfenced")
    await until(lambda: not _without_leader(world, by_force=False), 20, "partitions have leaders")
    await world.force_leaders()
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
    await until(lambda: _all_read(world), 30, "readers have read everything")
    await until(lambda: _identical(world), 10, "all replicas are the same")
    await world.stop_readers()
    for ledger in world.ledgers.values():
        ledger.settle()


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


def _all_read(world: World) -> bool:
    for history in world.judge.histories.values():
        ledger = next(each for each in world.ledgers.values() if each.name == history.name)
        for reader in ("reader-1", "reader-2", FINAL_READER):
            if ledger.position(reader) < history.committed_end:
                return False
    return True


def _identical(world: World) -> bool:
    """Nothing is written any more, so replicas end where what is committed ends."""
    for (topic_id, number), history in world.judge.histories.items():
        image = world.judge.metadata.image.partition(topic_id, number)
        assert image is not None
        for broker_id in image.replicas:
            replica = history.replicas[broker_id]
            if replica.end_offset != history.committed_end or replica.high_watermark != history.committed_end:
                return False
    return True
