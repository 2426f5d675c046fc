"""After the last fault: in bounded time everything is whole again, and all that was promised is there."""

from __future__ import annotations

from tests.sim.replication.world import FINAL_READER, World
from tests.sim.seed_run import until


async def recover(world: World) -> None:
    """Somebody decides, all replicas are in sync, everybody makes progress, everything is read."""
    await until(lambda: world.active() is not None, 15, "there is an active coordinator")
    await until(lambda: _all_live(world), 20, "every broker is unfenced")
    await until(lambda: _all_in_sync(world), 30, "every replica is in sync")
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


def _all_in_sync(world: World) -> bool:
    """And none is being moved."""
    topics = world.judge.metadata.image.topics.values()
    return all(
        set(partition.isr) == set(partition.replicas)
        and partition.leader
        and not partition.adding_replicas
        and not partition.removing_replicas
        for topic in topics
        for partition in topic.partitions
    )


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
