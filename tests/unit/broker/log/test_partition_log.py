"""One partition's log: what is appended is read back, whole, in order, over segments and restarts."""

from __future__ import annotations

import asyncio
import errno

import pytest

from streamkeep_broker.log.checkpoints import Checkpoint
from streamkeep_broker.log.read import ReadCursor
from streamkeep_common.errors import OffsetOutOfRangeError, StorageFailedError
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.unit.broker.log.logs import (
    NOW_MS,
    PATH,
    HeldWorker,
    append,
    append_values,
    flush,
    flush_once,
    make_batch,
    make_disk,
    open_log,
    publish,
    read_records,
    read_values,
    segment_files,
    stop,
)

VALUES = [b"value %d " % number * 20 for number in range(60)]


async def test_what_is_appended_is_read_back_in_order_over_many_segments() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES)
    assert len(segment_files(disk)) > 2
    assert await read_values(log) == VALUES
    assert await read_values(log, max_bytes=700) == VALUES
    assert await read_records(log, start=41) == list(enumerate(VALUES))[41:]


async def test_a_segment_file_parses_as_the_message_it_is() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES)
    batches = [
        batch for path in segment_files(disk) for batch in LogSegment.FromString(disk.read_file(path)).batches
    ]
    assert [batch.base_offset for batch in batches] == list(range(60))
    assert {batch.leader_epoch for batch in batches} == {1}


async def test_a_batch_takes_as_many_offsets_as_it_has_records() -> None:
    log = open_log(make_disk())
    assert append(log, make_batch([b"a", b"b", b"c"])) == (0, 3, NOW_MS)
    assert append(log, make_batch([b"d"], base_sequence=3)) == (3, 4, NOW_MS)
    data, next_offset = await log.read(1, max_bytes=1, end_offset=4)
    assert LogSegment.FromString(data).batches[0].base_offset == 0
    assert next_offset == 3


async def test_a_read_never_passes_the_end_that_it_is_given() -> None:
    log = open_log(make_disk())
    append_values(log, VALUES[:10])
    for end in range(1, 11):
        data, next_offset = await log.read(0, max_bytes=1 << 20, end_offset=end)
        assert [batch.base_offset for batch in LogSegment.FromString(data).batches] == list(range(end))
        assert next_offset == end
    assert await log.read(4, max_bytes=100, end_offset=4) == (b"", 4)
    assert await log.read(10, max_bytes=100, end_offset=99) == (b"", 10)


async def test_a_first_frame_above_the_limit_is_read_whole() -> None:
    log = open_log(make_disk(), segment_bytes=1 << 20)
    append(log, make_batch([bytes(50_000)]))
    append(log, make_batch([b"small"], base_sequence=1))
    data, next_offset = await log.read(0, max_bytes=1000, end_offset=2)
    assert len(LogSegment.FromString(data).batches) == 1
    assert next_offset == 1


async def test_a_cursor_carries_a_reader_over_segments_and_after_the_tail() -> None:
    disk = make_disk()
    log = open_log(disk)
    cursor = ReadCursor()
    offset, seen = 0, []
    for value in VALUES:
        append_values(log, [value])
        data, offset = await log.read(offset, max_bytes=1 << 20, end_offset=log.log_end_offset, cursor=cursor)
        seen += [batch.base_offset for batch in LogSegment.FromString(data).batches]
    assert seen == list(range(60))


async def test_bytes_that_are_not_in_memory_are_read_on_the_worker() -> None:
    disk = make_disk()
    disk.cached = False
    log = open_log(disk)
    append_values(log, VALUES)
    assert await read_values(log, max_bytes=500) == VALUES


async def test_offsets_outside_the_log_are_refused_by_name() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES)
    publish(disk, log)
    log.delete_records(7)
    for offset in (6, 61):
        with pytest.raises(OffsetOutOfRangeError, match=f"offset {offset} of flights-0 is outside 7 to 60"):
            await log.read(offset, max_bytes=100, end_offset=60)
    assert (await log.read(7, max_bytes=100, end_offset=60)).next_offset == 8


async def test_a_clean_stop_brings_everything_back_without_a_scan() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES)
    publish(disk, log)
    checkpoint = stop(disk, log)
    again = open_log(disk, checkpoint=checkpoint, clean=True)
    assert (again.log_end_offset, again.high_watermark, again.flushed_end_offset) == (60, 60, 60)
    assert again.producers.check(1, 0, 60, 1) is None
    assert again.producers.check(1, 0, 58, 1) == (58, 59, NOW_MS)
    assert again.leader_epochs.latest == 1
    assert again.segments[0].index is None
    append_values(again, [b"more"])
    assert await read_values(again) == [*VALUES, b"more"]


async def test_a_killed_process_loses_nothing_that_it_had_appended() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES)
    disk.kill()
    again = open_log(disk)
    assert await read_values(again) == VALUES
    assert again.producers.check(1, 0, 59, 1) == (59, 60, NOW_MS)
    assert again.leader_epochs.latest == 1
    assert again.high_watermark == 0


async def test_what_was_flushed_survives_a_power_cut_and_the_rest_is_cut_at_a_frame() -> None:
    disk = make_disk(seed=3)
    log = open_log(disk)
    append_values(log, VALUES[:30])
    flush(disk, log)
    append_values(log, VALUES[30:])
    disk.power_cut()
    again = open_log(disk)
    values = await read_values(again)
    assert len(values) >= 30
    assert values == VALUES[: len(values)]
    assert not again.defects


async def test_a_failed_write_is_cut_back_and_the_log_goes_on() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:3])
    size = log.size_bytes
    disk.set_capacity(disk.used() + 150)
    with pytest.raises(OSError, match="No space"):
        append_values(log, VALUES[3:4])
    assert (log.log_end_offset, log.size_bytes) == (3, size)
    assert disk.file_size(segment_files(disk)[0]) == size
    disk.set_capacity(1 << 30)
    append_values(log, VALUES[3:])
    assert await read_values(log) == VALUES


async def test_a_failed_write_that_cannot_be_cut_back_ends_appending() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:3])
    disk.fail("write")
    with pytest.raises(OSError):
        append_values(log, VALUES[3:4])
    disk.heal()
    with pytest.raises(StorageFailedError, match="unfinished frame"):
        append_values(log, VALUES[3:4])
    assert await read_values(log) == VALUES[:3]


async def test_a_roll_that_finds_no_room_leaves_the_log_as_it_was() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:18])
    files = len(segment_files(disk))
    disk.set_capacity(disk.used() + 300)
    with pytest.raises(OSError) as refused:
        append_values(log, VALUES[18:])
    assert refused.value.errno == errno.ENOSPC
    assert len(segment_files(disk)) == files
    count = log.log_end_offset
    disk.set_capacity(1 << 30)
    append_values(log, VALUES[count:])
    assert await read_values(log) == VALUES


async def test_segments_roll_by_time_since_their_first_record() -> None:
    log = open_log(make_disk(), segment_bytes=1 << 20, segment_ms=1000)
    for step in (0, 900, 1000, 1001, 1500):
        append_values(log, [b"x"], now_ms=NOW_MS + step)
    assert [segment.base_offset for segment in log.segments] == [0, 3]


async def test_a_rolled_segment_is_on_disk_before_what_follows_may_be_called_durable() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:24])
    first_end = log.segments[0].next_offset
    assert len(log.segments) == 2
    flush_once(disk, log)
    assert log.flushed_end_offset == first_end
    assert log.needs_flush
    flush_once(disk, log)
    assert log.flushed_end_offset == 24
    assert not log.needs_flush
    assert f"{0:020d}.index" in disk.list_directory(PATH)


async def test_the_time_of_appending_replaces_the_producers_if_the_topic_says_so() -> None:
    disk = make_disk()
    log = open_log(disk, timestamp_type="append")
    append(log, make_batch([b"x"], timestamps_ms=5), now_ms=NOW_MS)
    publish(disk, log)
    assert log.largest_timestamp_ms == NOW_MS
    assert await log.find_timestamp(6) == (0, NOW_MS, 1)


async def test_a_log_start_above_the_log_end_begins_the_log_anew() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES)
    disk.kill()
    again = open_log(disk, checkpoint=Checkpoint(100, 60, 60))
    assert (again.log_start_offset, again.high_watermark, again.log_end_offset) == (100, 100, 100)
    assert segment_files(disk) == [PATH / f"{100:020d}.log"]
    append_values(again, [b"next"])
    assert await read_records(again) == [(100, b"next")]


async def test_what_is_appended_during_a_cold_read_is_left_for_the_next() -> None:
    disk = make_disk()
    disk.cached = False
    worker = HeldWorker()
    log = open_log(disk, reader=worker)
    cursor = ReadCursor()
    append_values(log, VALUES[:3])
    reading = asyncio.create_task(log.read(0, max_bytes=1 << 20, end_offset=99, cursor=cursor))
    await asyncio.sleep(0)
    append_values(log, VALUES[3:5])
    await worker.release()
    data, next_offset = await reading
    assert next_offset == 3
    assert len(LogSegment.FromString(data).batches) == 3
    reading = asyncio.create_task(log.read(3, max_bytes=1 << 20, end_offset=99, cursor=cursor))
    await worker.release()
    assert (await reading).next_offset == 5


async def test_durability_says_what_counts_as_acknowledged() -> None:
    disk = make_disk()
    for durability, acknowledged in (("fsync", 0), ("os", 3)):
        log = open_log(make_disk(), durability=durability)
        append_values(log, VALUES[:3])
        assert log.acknowledged_end == acknowledged
        assert log.advance_high_watermark(3) is (acknowledged == 3)
        assert log.high_watermark == acknowledged
    log = open_log(disk)
    append_values(log, VALUES[:3])
    flush(disk, log)
    assert log.advance_high_watermark(2)
    assert not log.advance_high_watermark(1)
    assert log.high_watermark == 2


async def test_a_flush_covers_the_files_that_changed_and_the_names_once() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:3])
    target = log.flush_target()
    assert [file.path.name for file in target.files] == [f"{0:020d}.log", "leader-epochs"]
    assert list(target.directories) == [PATH]
    append_values(log, VALUES[3:5])
    assert target.end_offset == 3
    log.flushed(target.end_offset)
    assert (log.flushed_end_offset, log.log_end_offset) == (3, 5)
    target = log.flush_target()
    assert [file.path.name for file in target.files] == [f"{0:020d}.log"]
    assert list(target.directories) == []
    log.flushed(target.end_offset)
    assert log.flush_target().files == ()


async def test_a_leader_epoch_that_finds_no_room_is_written_with_a_later_flush() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:3])
    flush(disk, log)
    disk.set_capacity(disk.used() + 5)
    log.leader_epochs.assign(2, 3)
    flush_once(disk, log)
    size = disk.file_size(PATH / "leader-epochs")
    disk.set_capacity(1 << 30)
    flush_once(disk, log)
    assert disk.file_size(PATH / "leader-epochs") > size
    disk.power_cut()
    assert list(open_log(disk, checkpoint=Checkpoint(0, 3, 3)).leader_epochs.starts) == [(1, 0), (2, 3)]


async def test_idle_logs_hold_no_descriptor() -> None:
    disk = make_disk()
    log = open_log(disk)
    assert disk.open_files == 0
    append_values(log, VALUES)
    publish(disk, log)
    assert await read_values(log) == VALUES
    stop(disk, log)
    assert disk.open_files == 0
