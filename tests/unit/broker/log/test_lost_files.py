"""Files that lost their end, or are gone: it is named, and no other records get their offsets."""

from __future__ import annotations

import pytest

from streamkeep_broker.log.checkpoints import BEGINNING, Checkpoint
from streamkeep_broker.log.open_directory import checkpoint_of
from streamkeep_common.errors import CorruptLogError
from streamkeep_common.records.frame import FRAME_HEADER_BYTES
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.unit.broker.log.logs import (
    VALUES,
    append_values,
    make_batch,
    open_log,
    read_values,
    segment_files,
    stopped,
)


@pytest.mark.parametrize("checkpoint", [Checkpoint(0, 4, 0), Checkpoint(0, 0, 4), Checkpoint(0, 4, 4)])
async def test_what_was_on_disk_and_is_cut_off_is_corruption(checkpoint: Checkpoint) -> None:
    """Also exactly between two frames: going on would give the lost offsets to other records."""
    last_frame_bytes = FRAME_HEADER_BYTES + len(make_batch(VALUES[3:4]).records)
    for lost in (1, 100, last_frame_bytes - 1, last_frame_bytes):
        disk, _ = stopped(VALUES[:4])
        (path,) = segment_files(disk)
        disk.cut_short(path, lost_bytes=lost)
        size = disk.file_size(path)
        log = open_log(disk, checkpoint=checkpoint)
        assert disk.file_size(path) == size
        with pytest.raises(CorruptLogError, match=f"{path}, byte .*offset 3"):
            append_values(log, [b"x"])
        assert await read_values(log) == VALUES[:3]


async def test_a_clean_stop_after_which_bytes_vanish_is_not_believed() -> None:
    disk, checkpoint = stopped()
    disk.cut_short(segment_files(disk)[-1], lost_bytes=5)
    assert open_log(disk, checkpoint=checkpoint, clean=True).defects


async def test_a_segment_that_vanished_is_named() -> None:
    disk, _ = stopped()
    missing = segment_files(disk)[1]
    disk.remove_file(missing)
    log = open_log(disk, checkpoint=BEGINNING)
    (defect,) = log.defects
    assert defect.path == segment_files(disk)[0]
    assert f"{defect.offset:020d}.log" == missing.name
    later = log.segments[-1].base_offset
    assert (await read_values(log, start=later)) == VALUES[later:]
    with pytest.raises(CorruptLogError):
        await log.read(defect.offset, max_bytes=1, end_offset=40)


async def test_the_last_segment_that_vanished_is_named_by_the_seal_before_it() -> None:
    disk, _ = stopped()
    disk.remove_file(segment_files(disk)[-1])
    (defect,) = open_log(disk, checkpoint=BEGINNING).defects
    assert "missing" in defect.reason


@pytest.mark.parametrize("clean", [True, False])
async def test_a_log_that_lost_its_beginning_does_not_begin_later(clean: bool) -> None:
    """Once it led, all others would give up the same records, as if they had been deleted."""
    disk, checkpoint = stopped()
    disk.remove_file(segment_files(disk)[0])
    log = open_log(disk, checkpoint=checkpoint, clean=clean)
    (defect,) = log.defects
    assert (defect.path, defect.offset, log.log_start_offset) == (segment_files(disk)[0], 0, 0)
    there = log.segments[0].base_offset
    assert await read_values(log, start=there) == VALUES[there:]
    with pytest.raises(CorruptLogError):
        await log.read(0, max_bytes=1, end_offset=40)
    assert open_log(disk, checkpoint=checkpoint_of(log)).defects, "it is found again by the next start"


async def test_a_log_of_which_nothing_was_known_to_be_on_disk_begins_where_its_files_do() -> None:
    disk, _ = stopped()
    disk.remove_file(segment_files(disk)[0])
    log = open_log(disk, checkpoint=BEGINNING)
    assert (log.log_start_offset, log.defects) == (log.segments[0].base_offset, [])


@pytest.mark.parametrize("lost", ["all", "a byte", "a frame"])
async def test_an_old_segment_that_lost_something_is_named_to_who_reads_up_to_there(lost: str) -> None:
    """It is not scanned after a clean stop. Whole frames are served, and nothing is skipped."""
    disk, checkpoint = stopped()
    path = segment_files(disk)[1]
    batches = LogSegment.FromString(disk.read_file(path)).batches
    if lost == "all":
        disk.remove_file(path)
    else:
        disk.cut_short(
            path, lost_bytes=1 if lost == "a byte" else FRAME_HEADER_BYTES + len(batches[-1].records)
        )
    log = open_log(disk, checkpoint=checkpoint, clean=True)
    offset, values = 0, []
    with pytest.raises(CorruptLogError, match="byte"):
        while offset < log.log_end_offset:
            data, offset = await log.read(offset, max_bytes=1 << 20, end_offset=log.log_end_offset)
            values += [batch.base_offset for batch in LogSegment.FromString(data).batches]
    assert values == list(range(len(values)))
    assert batches[0].base_offset <= offset <= batches[-1].base_offset
