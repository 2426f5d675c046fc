"""Records are found by their timestamps, to the record, and only readable ones."""

from __future__ import annotations

import pytest

from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_common.errors import CorruptLogError
from tests.sim.disk import SimDisk
from tests.unit.broker.log.logs import append, flush, make_batch, make_disk, open_log, publish


def written(*batches: list[int], leader_epoch: int = 1) -> tuple[SimDisk, PartitionLog]:
    """Batches of records with these timestamps, all readable."""
    disk = make_disk()
    log = open_log(disk)
    for timestamps in batches:
        batch = make_batch(
            [b"x" * 100] * len(timestamps), timestamps_ms=timestamps, base_sequence=log.log_end_offset
        )
        append(log, batch, leader_epoch=leader_epoch)
    publish(disk, log)
    return disk, log


async def test_the_first_record_that_is_late_enough_is_found_within_its_batch() -> None:
    _, log = written([10, 20, 30], [40, 50, 60], leader_epoch=3)
    assert await log.find_timestamp(0) == (0, 10, 3)
    assert await log.find_timestamp(21) == (2, 30, 3)
    assert await log.find_timestamp(31) == (3, 40, 3)
    assert await log.find_timestamp(60) == (5, 60, 3)
    assert await log.find_timestamp(61) is None


async def test_timestamps_out_of_order_are_searched_in_offset_order() -> None:
    _, log = written([50, 90, 10], [20, 60], [100])
    assert await log.find_timestamp(15) == (0, 50, 1)
    assert await log.find_timestamp(51) == (1, 90, 1)
    assert await log.find_timestamp(91) == (5, 100, 1)


async def test_the_greatest_timestamp_is_found_at_its_first_record() -> None:
    _, log = written([50, 90, 10], [90, 60], [80])
    assert await log.find_max_timestamp() == (1, 90, 1)
    log.delete_records(2)
    assert await log.find_max_timestamp() == (3, 90, 1)
    log.delete_records(4)
    assert await log.find_max_timestamp() == (5, 80, 1)
    log.delete_records(6)
    assert await log.find_max_timestamp() is None


async def test_what_readers_may_not_see_is_not_found() -> None:
    disk, log = written([10, 20])
    append(log, make_batch([b"x"], timestamps_ms=99, base_sequence=2))
    assert await log.find_timestamp(21) is None
    assert await log.find_max_timestamp() == (1, 20, 1)
    flush(disk, log)
    assert await log.find_timestamp(21) is None
    log.advance_high_watermark(3)
    assert await log.find_timestamp(21) == (2, 99, 1)
    assert await log.find_max_timestamp() == (2, 99, 1)


async def test_records_are_found_over_many_segments() -> None:
    _, log = written(*([number * 10, number * 10 + 5] for number in range(100)))
    assert len(log.segments) > 3
    for number in (0, 1, 33, 50, 99):
        assert await log.find_timestamp(number * 10 + 1) == (number * 2 + 1, number * 10 + 5, 1)
    assert await log.find_max_timestamp() == (199, 995, 1)


async def test_a_damaged_batch_on_the_way_is_named() -> None:
    disk, log = written([10, 20], [30, 40])
    disk.flip_bit(log.segments[0].path, 180, 0)
    with pytest.raises(CorruptLogError, match="byte 0"):
        await log.find_timestamp(11)
