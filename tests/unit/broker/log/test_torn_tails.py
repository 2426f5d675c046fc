"""What a crash leaves of an unfinished write is cut; whatever else is wrong is kept."""

from __future__ import annotations

import pytest

from streamkeep_broker.log.checkpoints import BEGINNING
from streamkeep_broker.log.log_scan import is_torn_tail
from streamkeep_common.records.frame import FRAME_HEADER_BYTES
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.unit.broker.log.logs import (
    PATH,
    VALUES,
    append,
    append_values,
    flush_once,
    make_batch,
    make_disk,
    open_log,
    read_values,
    segment_files,
    stopped,
)


@pytest.mark.parametrize(
    ("offset", "followed", "sealed", "short", "same_boot", "torn"),
    [
        (10, False, False, False, False, True),
        (99, False, False, False, False, True),
        (9, False, False, False, False, False),
        (10, True, False, False, False, False),
        (10, False, True, False, False, False),
        (10, False, False, True, True, True),
        (10, False, False, False, True, False),
    ],
)
def test_only_an_unfinished_write_at_the_end_counts_as_torn(
    *, offset: int, followed: bool, sealed: bool, short: bool, same_boot: bool, torn: bool
) -> None:
    said = is_torn_tail(
        offset=offset, floor=10, followed=followed, sealed=sealed, short=short, same_boot=same_boot
    )
    assert said is torn


@pytest.mark.parametrize("same_boot", [True, False])
async def test_a_torn_tail_is_cut_and_the_rest_survives(same_boot: bool) -> None:
    for lost in (1, FRAME_HEADER_BYTES, 150, 251):
        disk, _ = stopped(VALUES[:4])
        (path,) = segment_files(disk)
        disk.cut_short(path, lost_bytes=lost)
        log = open_log(disk, same_boot=same_boot)
        assert await read_values(log) == VALUES[:3]
        assert LogSegment.FromString(disk.read_file(path)).batches[-1].base_offset == 2
        append_values(log, VALUES[3:5])
        assert await read_values(log) == VALUES[:5]


@pytest.mark.parametrize("byte", [3, FRAME_HEADER_BYTES - 1, FRAME_HEADER_BYTES + 5])
async def test_a_frame_that_is_all_there_and_wrong_was_not_torn_by_a_kill(byte: int) -> None:
    """It may have been acknowledged: what says that it was on disk is seconds old."""
    disk, _ = stopped(VALUES[:4])
    (path,) = segment_files(disk)
    last = LogSegment.FromString(disk.read_file(path)).batches[-1]
    disk.flip_bit(path, disk.file_size(path) - FRAME_HEADER_BYTES - len(last.records) + byte, 2)
    size = disk.file_size(path)
    log = open_log(disk, same_boot=True)
    (defect,) = log.defects
    assert (defect.offset, disk.file_size(path)) == (3, size)
    assert await read_values(open_log(disk)) == VALUES[:3], "after a power cut it may be a torn write"


async def test_zeros_where_a_write_should_be_are_a_torn_tail() -> None:
    disk, _ = stopped(VALUES[:3])
    (path,) = segment_files(disk)
    good = disk.read_file(path)
    disk.write_file(path, good + bytes(5000))
    log = open_log(disk)
    assert disk.read_file(path) == good
    assert log.log_end_offset == 3


async def test_records_that_look_like_frames_are_not_taken_for_what_follows() -> None:
    """The payload of a torn frame holds a whole frame of later offsets."""
    disk, _ = stopped(VALUES[:2])
    (path,) = segment_files(disk)
    good = disk.read_file(path)
    other = make_disk()
    decoy = open_log(other)
    append_values(decoy, [b"x"] * 9)
    decoy_frames = other.read_file(segment_files(other)[0])
    log = open_log(disk)
    append(log, make_batch([decoy_frames, bytes(200)], base_sequence=2))
    disk.cut_short(path, lost_bytes=100)
    log = open_log(disk)
    assert disk.read_file(path) == good
    assert not log.defects
    assert log.log_end_offset == 2


async def test_after_a_tear_in_an_unsealed_segment_what_follows_was_never_acknowledged() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:24])
    assert len(log.segments) == 2
    disk.kill()
    first, second = segment_files(disk)
    disk.cut_short(first, lost_bytes=10)
    log = open_log(disk)
    assert not log.defects
    assert segment_files(disk) == [first]
    assert not disk.exists(PATH / second.with_suffix(".snapshot").name)
    kept = await read_values(log)
    assert kept == VALUES[: len(kept)]
    append_values(log, VALUES[len(kept) :])
    assert await read_values(log) == VALUES


async def test_recovery_twice_finds_the_same() -> None:
    disk = make_disk(seed=5)
    log = open_log(disk)
    append_values(log, VALUES)
    disk.power_cut()
    first = open_log(disk)
    values = await read_values(first)
    files = {path: disk.read_file(path) for path in segment_files(disk)}
    disk.power_cut()
    assert await read_values(open_log(disk)) == values
    assert {path: disk.read_file(path) for path in segment_files(disk)} == files


async def test_damage_before_anything_acknowledged_never_cuts_it() -> None:
    """Whatever commit was the last, and however old the checkpoint is."""
    acknowledged_behind = 0
    for commits in range(4):
        disk = make_disk()
        log = open_log(disk)
        append_values(log, VALUES[:24])
        first, second = segment_files(disk)
        for _ in range(commits):
            flush_once(disk, log)
        promised = log.flushed_end_offset > log.segments[0].next_offset
        disk.kill()
        disk.flip_bit(first, disk.file_size(first) - 1, 0)
        log = open_log(disk, checkpoint=BEGINNING)
        if promised:
            acknowledged_behind += 1
            assert log.defects
            assert disk.exists(second)
            assert (await read_values(log, start=int(second.stem))) == VALUES[int(second.stem) : 24]
    assert acknowledged_behind == 2
