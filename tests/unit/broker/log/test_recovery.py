"""What a crash tears is cut; what is corrupt is named and kept; what can be rebuilt is rebuilt."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamkeep_broker.log.checkpoints import BEGINNING, Checkpoint
from streamkeep_broker.log.log_scan import is_torn_tail
from streamkeep_broker.log.open_directory import checkpoint_of
from streamkeep_common.errors import CorruptLogError
from streamkeep_common.records.frame import FRAME_HEADER_BYTES
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.sim.disk import SimDisk
from tests.unit.broker.log.logs import (
    NOW_MS,
    PATH,
    append,
    append_values,
    flush,
    flush_once,
    make_batch,
    make_disk,
    open_log,
    publish,
    read_values,
    segment_files,
    stop,
)

VALUES = [b"value %d " % number * 20 for number in range(40)]


def change(disk: SimDisk, path: Path, data: bytes) -> None:
    file = disk.open(path, create=True)
    file.truncate(0)
    file.append([data])
    file.sync()
    file.close()


def cut(disk: SimDisk, path: Path, lost_bytes: int) -> None:
    file = disk.open(path)
    file.truncate(file.size() - lost_bytes)
    file.sync()
    file.close()


def stopped(values: list[bytes] = VALUES) -> tuple[SimDisk, Checkpoint]:
    disk = make_disk()
    log = open_log(disk)
    for number in range(0, len(values), 8):
        append_values(log, values[number : number + 8])
        publish(disk, log)
    return disk, stop(disk, log)


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
        cut(disk, path, lost)
        log = open_log(disk, same_boot=same_boot)
        assert await read_values(log) == VALUES[:3] if lost < 280 else VALUES[:2]
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
    change(disk, path, good + bytes(5000))
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
    cut(disk, path, 100)
    log = open_log(disk)
    assert disk.read_file(path) == good
    assert not log.defects
    assert log.log_end_offset == 2


@pytest.mark.parametrize("checkpoint", [Checkpoint(0, 4, 0), Checkpoint(0, 0, 4), Checkpoint(0, 4, 4)])
async def test_what_was_on_disk_and_is_cut_off_is_corruption(checkpoint: Checkpoint) -> None:
    """Also exactly between two frames: going on would give the lost offsets to other records."""
    last_frame_bytes = FRAME_HEADER_BYTES + len(make_batch(VALUES[3:4]).records)
    for lost in (1, 100, last_frame_bytes - 1, last_frame_bytes):
        disk, _ = stopped(VALUES[:4])
        (path,) = segment_files(disk)
        cut(disk, path, lost)
        size = disk.file_size(path)
        log = open_log(disk, checkpoint=checkpoint)
        assert disk.file_size(path) == size
        with pytest.raises(CorruptLogError, match=f"{path}, byte .*offset 3"):
            append_values(log, [b"x"])
        assert await read_values(log) == VALUES[:3]


async def test_a_clean_stop_after_which_bytes_vanish_is_not_believed() -> None:
    disk, checkpoint = stopped()
    cut(disk, segment_files(disk)[-1], 5)
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
        cut(disk, path, 1 if lost == "a byte" else FRAME_HEADER_BYTES + len(batches[-1].records))
    log = open_log(disk, checkpoint=checkpoint, clean=True)
    offset, values = 0, []
    with pytest.raises(CorruptLogError, match="byte"):
        while offset < log.log_end_offset:
            data, offset = await log.read(offset, max_bytes=1 << 20, end_offset=log.log_end_offset)
            values += [batch.base_offset for batch in LogSegment.FromString(data).batches]
    assert values == list(range(len(values)))
    assert batches[0].base_offset <= offset <= batches[-1].base_offset


async def test_after_a_tear_in_an_unsealed_segment_what_follows_was_never_acknowledged() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:24])
    assert len(log.segments) == 2
    disk.kill()
    first, second = segment_files(disk)
    cut(disk, first, 10)
    log = open_log(disk)
    assert not log.defects
    assert segment_files(disk) == [first]
    assert not disk.exists(PATH / second.with_suffix(".snapshot").name)
    kept = await read_values(log)
    assert kept == VALUES[: len(kept)]
    append_values(log, VALUES[len(kept) :])
    assert await read_values(log) == VALUES


@pytest.mark.parametrize("suffix", [".index", ".index.open", ".timeindex"])
@pytest.mark.parametrize("content", [None, b"", b"garbage" * 50])
async def test_lost_or_damaged_indexes_are_built_again(suffix: str, content: bytes | None) -> None:
    disk, checkpoint = stopped()
    for name in disk.list_directory(PATH):
        if name.endswith(suffix):
            disk.remove_file(PATH / name)
            if content is not None:
                change(disk, PATH / name, content)
    log = open_log(disk, checkpoint=checkpoint, clean=True)
    assert log.log_end_offset == 40
    for offset in range(40):
        data, _ = await log.read(offset, max_bytes=1, end_offset=40)
        assert LogSegment.FromString(data).batches[0].base_offset == offset
    assert await log.find_timestamp(NOW_MS) == (0, NOW_MS, 1)
    assert await log.find_timestamp(NOW_MS + 1) is None


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("suffix", [".snapshot", "leader-epochs"])
@pytest.mark.parametrize("content", [None, b"", b"garbage\n" * 50])
async def test_lost_or_damaged_states_are_built_again(
    clean: bool, suffix: str, content: bytes | None
) -> None:
    disk, checkpoint = stopped()
    for name in disk.list_directory(PATH):
        if name.endswith(suffix):
            disk.remove_file(PATH / name)
            if content is not None:
                change(disk, PATH / name, content)
    log = open_log(disk, checkpoint=checkpoint, clean=clean)
    assert not log.defects
    assert log.producers.check(1, 0, 36, 1) == (36, 37, NOW_MS)
    assert list(log.leader_epochs.starts) == [(1, 0)]


async def test_a_lost_leader_epochs_file_is_built_again_from_the_whole_log() -> None:
    disk = make_disk()
    log = open_log(disk)
    for number, value in enumerate(VALUES):
        append(log, make_batch([value], base_sequence=number), leader_epoch=1 + number // 15)
    publish(disk, log)
    checkpoint = stop(disk, log)
    disk.remove_file(PATH / "leader-epochs")
    log = open_log(disk, checkpoint=checkpoint, clean=True)
    assert list(log.leader_epochs.starts) == [(1, 0), (2, 15), (3, 30)]


async def test_an_epoch_without_records_survives_by_its_file() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:3])
    log.leader_epochs.assign(9, 3)
    flush(disk, log)
    disk.power_cut()
    log = open_log(disk, checkpoint=Checkpoint(0, 3, 3))
    assert list(log.leader_epochs.starts) == [(1, 0), (9, 3)]


async def test_leftovers_are_removed_but_never_from_a_corrupt_log() -> None:
    disk, checkpoint = stopped()
    leftovers = [f"{7:020d}.index", f"{99:020d}.snapshot", "leader-epochs.tmp", f"{7:020d}.timeindex"]
    for name in leftovers:
        change(disk, PATH / name, b"")
    disk.flip_bit(segment_files(disk)[0], 200, 3)
    assert open_log(disk, checkpoint=BEGINNING).defects
    assert set(leftovers) <= set(disk.list_directory(PATH))
    disk.flip_bit(segment_files(disk)[0], 200, 3)
    log = open_log(disk, checkpoint=checkpoint, clean=True)
    assert not set(leftovers) & set(disk.list_directory(PATH))
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


async def test_records_of_a_retired_segment_do_not_come_back() -> None:
    disk, checkpoint = stopped()
    bases = [int(path.stem) for path in segment_files(disk)]
    log = open_log(disk, checkpoint=checkpoint._replace(log_start_offset=bases[2]), clean=True)
    assert log.log_start_offset == bases[2]
    assert [int(path.stem) for path in segment_files(disk)] == bases[2:]


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


# What simulated crashes have found, each with the shortest way there.


async def test_a_torn_line_of_leader_epochs_does_not_spoil_the_next() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:3])
    flush(disk, log)
    log.leader_epochs.assign(2, 3)
    flush(disk, log)
    cut(disk, PATH / "leader-epochs", 3)
    log = open_log(disk, checkpoint=Checkpoint(0, 3, 3))
    log.leader_epochs.assign(3, 3)
    flush_once(disk, log)
    again = open_log(disk, checkpoint=Checkpoint(0, 3, 3))
    assert list(again.leader_epochs.starts) == [(1, 0), (3, 3)]


async def test_an_epoch_that_a_killed_process_left_in_memory_is_made_durable_with_its_records() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:3])
    log.flush_target()
    disk.kill()
    log = open_log(disk)
    flush(disk, log)
    disk.power_cut()
    log = open_log(disk, checkpoint=Checkpoint(0, 3, 3))
    assert not log.defects
    assert list(log.leader_epochs.starts) == [(1, 0)]


async def test_a_new_log_does_not_begin_a_second_segment_before_the_first_has_a_durable_name() -> None:
    disk = make_disk()
    log = open_log(disk, commit=False)
    append_values(log, VALUES)
    assert len(log.segments) == 1
    flush(disk, log)
    append_values(log, [b"next"])
    assert len(log.segments) == 2


async def test_a_segment_that_recovery_removed_does_not_come_back() -> None:
    """A recovery dies before it has synced the names; the next one must do it, though it finds them right."""
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:24])
    first, second = segment_files(disk)
    disk.sync_directory(PATH)
    disk.kill()
    cut(disk, first, 10)
    disk.fail("sync", under=PATH)
    with pytest.raises(OSError, match="Input/output"):
        open_log(disk)
    disk.remove_file(second)
    disk.heal()
    disk.kill()
    open_log(disk, commit=False)
    for _ in range(5):
        disk.power_cut()
        assert not disk.exists(second)


async def test_files_of_retired_segments_that_a_crash_brought_back_are_removed() -> None:
    disk, checkpoint = stopped()
    bases = [int(path.stem) for path in segment_files(disk)]
    disk.remove_file(segment_files(disk)[1])
    log = open_log(disk, checkpoint=checkpoint._replace(log_start_offset=bases[2]))
    assert not log.defects
    assert [int(path.stem) for path in segment_files(disk)] == bases[2:]
