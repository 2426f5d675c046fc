"""What a leader finds damaged while it pushes ends that subscription only, and is reported."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.read import LogSlice
from streamkeep_common.errors import CorruptLogError
from streamkeep_proto.v1 import errors_pb2
from tests.unit.broker.replication.led import image
from tests.unit.broker.services.pushing import Pushing, simulated


@simulated
async def test_a_corrupt_partition_ends_its_subscription_only_and_is_reported(world: Pushing) -> None:
    await world.start(partitions=2)
    damaged: list[object] = []
    world.partition.on_damaged = damaged.append
    world.append(b"a" * 100)
    world.append(b"a", partition=1)
    log = world.partition.log
    await world.until(lambda: log.flushed_end_offset == 1)
    path = log.path / f"{0:020d}.log"
    world.host.disk.flip_bit(path, 40, 0)
    follower = await world.follower()
    await follower.start()
    await follower.start(2, partition=1)
    assert (await follower.until_end()).error.code == errors_pb2.CORRUPT_LOG
    await follower.until_offset(1, 2)
    assert damaged == [world.partition]


@pytest.mark.parametrize(
    ("trouble", "code"), [("bit", errors_pb2.CORRUPT_LOG), ("EIO", errors_pb2.STORAGE_FAILED)]
)
def test_damage_where_the_log_starts_is_reported_when_somebody_is_to_begin_there(
    trouble: str, code: int
) -> None:
    @simulated
    async def scenario(world: Pushing) -> None:
        await world.start()
        damaged: list[object] = []
        world.partition.on_damaged = damaged.append
        world.append(b"a", b"b")
        world.append(b"c")
        log = world.partition.log
        await world.until(lambda: log.flushed_end_offset == 3)
        log.advance_high_watermark(3)
        world.partition.delete_records(1)
        path = log.path / f"{0:020d}.log"
        if trouble == "bit":
            world.host.disk.flip_bit(path, 20, 3)
        else:
            world.host.disk.cached = False
            world.host.disk.fail("read", under=path)
        follower = await world.follower()
        await follower.start()
        assert (await follower.until_end()).error.code == code
        assert damaged == [world.partition]

    scenario()


@simulated
async def test_what_cannot_be_read_of_a_log_that_is_led_no_more_is_not_taken_for_damage(
    world: Pushing,
) -> None:
    await world.start()
    damaged: list[object] = []
    world.partition.on_damaged = damaged.append
    world.append(b"a", b"b")

    async def hand_over(*_: object, **__: object) -> LogSlice:
        world.apply(image(leader=3, leader_epoch=2, partition_epoch=2))
        raise CorruptLogError("it is cut just now")

    follower = await world.follower()
    with patch.object(PartitionLog, "read", hand_over):
        await follower.start(at=1)
        assert (await follower.until_end()).error.code == errors_pb2.NOT_LEADER
    assert damaged == []
