"""Whole segments go, oldest first, by time, by size, below the log start; never above the high watermark."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest

from streamkeep_broker.log.retention import count_unneeded
from streamkeep_common.errors import OffsetOutOfRangeError
from tests.unit.broker.log.logs import (
    NOW_MS,
    HeldWorker,
    append,
    append_values,
    flush,
    make_batch,
    make_disk,
    open_log,
    publish,
    read_records,
    stop,
)


class Extent(NamedTuple):
    next_offset: int
    size: int
    largest_timestamp_ms: int


SEGMENTS = [Extent(10, 100, 1000), Extent(20, 100, 3000), Extent(30, 100, 2000), Extent(40, 50, 4000)]


def count(
    *,
    now_ms: int = 0,
    log_start: int = 0,
    high_watermark: int = 40,
    retention_ms: int = -1,
    retention_bytes: int = -1,
) -> int:
    return count_unneeded(
        SEGMENTS,
        lambda number: SEGMENTS[number].largest_timestamp_ms,
        now_ms=now_ms,
        log_start_offset=log_start,
        high_watermark=high_watermark,
        retention_ms=retention_ms,
        retention_bytes=retention_bytes,
    )


def test_without_limits_everything_stays() -> None:
    assert count(now_ms=10**12) == 0


def test_time_stops_at_the_first_segment_that_is_young_enough() -> None:
    assert count(now_ms=2000, retention_ms=1000) == 0
    assert count(now_ms=2001, retention_ms=1000) == 1
    assert count(now_ms=3500, retention_ms=1000) == 1
    assert count(now_ms=4001, retention_ms=1000) == 3
    assert count(now_ms=5001, retention_ms=1000) == 4, "the last one too"


def test_size_never_takes_the_log_below_its_limit() -> None:
    assert count(retention_bytes=350) == 0
    assert count(retention_bytes=251) == 0
    assert count(retention_bytes=250) == 1
    assert count(retention_bytes=50) == 3
    assert count(retention_bytes=0) == 4


def test_nothing_goes_that_reaches_past_the_high_watermark() -> None:
    assert count(now_ms=10**6, retention_ms=0, high_watermark=29) == 2
    assert count(retention_bytes=0, high_watermark=9) == 0


def test_segments_below_the_log_start_go_whatever_the_limits() -> None:
    assert count(log_start=29) == 2
    assert count(log_start=30) == 3


async def test_a_log_that_retention_empties_goes_on_at_its_end() -> None:
    disk = make_disk()
    log = open_log(disk, retention_ms=1000)
    append_values(log, [bytes(500)] * 20)
    publish(disk, log)
    assert log.take_unneeded_segments(NOW_MS + 1000) == []
    removed = log.take_unneeded_segments(NOW_MS + 1001)
    assert sum(segment.size for segment in removed) > 10_000
    assert (log.log_start_offset, log.log_end_offset, log.size_bytes) == (20, 20, 0)
    flush(disk, log)
    for segment in removed:
        for path in segment.paths:
            disk.remove_file(path)
    append_values(log, [b"next"])
    checkpoint = stop(disk, log)
    again = open_log(disk, checkpoint=checkpoint, clean=True)
    assert await read_records(again) == [(20, b"next")]
    assert again.producers.check(1, 0, 19, 1) == (19, 20, NOW_MS), "producers are known beyond their records"


async def test_the_greatest_timestamp_of_an_old_segment_is_read_from_its_index_after_a_restart() -> None:
    disk = make_disk()
    log = open_log(disk, retention_ms=1000)
    for number in range(20):
        timestamp_ms = NOW_MS + (500 if number == 2 else 0)
        append(log, make_batch([bytes(500)], timestamps_ms=timestamp_ms, base_sequence=number))
    publish(disk, log)
    log = open_log(disk, checkpoint=stop(disk, log), clean=True, retention_ms=1000)
    assert log.take_unneeded_segments(NOW_MS + 1001) == []
    assert len(log.take_unneeded_segments(NOW_MS + 1501)) == len(log.segments) + 2


async def test_deleted_records_are_gone_at_once_and_their_segments_later() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, [bytes(500)] * 20)
    flush(disk, log)
    publish(disk, log)
    log.delete_records(15)
    with pytest.raises(OffsetOutOfRangeError):
        await log.read(14, max_bytes=1, end_offset=20)
    kept = [segment for segment in log.segments if segment.next_offset > 15]
    assert log.take_unneeded_segments(NOW_MS)
    assert list(log.segments) == kept
    assert log.log_start_offset == 15


async def test_retention_goes_on_when_the_disk_is_full() -> None:
    disk = make_disk()
    log = open_log(disk, retention_ms=1000)
    append_values(log, [bytes(500)] * 20)
    publish(disk, log)
    disk.set_capacity(disk.used())
    removed = log.take_unneeded_segments(NOW_MS + 5000)
    assert len(removed) == 2
    assert len(log.segments) == 1


async def test_a_reader_that_retention_overtakes_hears_that_its_offset_is_gone() -> None:
    disk = make_disk()
    disk.cached = False
    worker = HeldWorker()
    log = open_log(disk, reader=worker)
    append_values(log, [bytes(500)] * 20)
    publish(disk, log)
    reading = asyncio.create_task(log.read(0, max_bytes=1, end_offset=20))
    await asyncio.sleep(0)
    log.delete_records(20)
    for segment in log.take_unneeded_segments(NOW_MS):
        for file in segment.files:
            file.close()
        for path in segment.paths:
            disk.remove_file(path)
    await worker.release()
    with pytest.raises(OffsetOutOfRangeError):
        await reading
