"""Which files a log has after a recovery, whatever a crash brought back or took from their names."""

from __future__ import annotations

import pytest

from streamkeep_broker.log.checkpoints import BEGINNING
from tests.sim.disk import SimDisk
from tests.unit.broker.log.logs import (
    PATH,
    VALUES,
    append_values,
    flush,
    make_disk,
    open_log,
    read_values,
    segment_files,
    stopped,
)


def bases(disk: SimDisk) -> list[int]:
    """Where the segments on disk begin."""
    return [int(path.stem) for path in segment_files(disk)]


async def test_leftovers_are_removed_but_never_from_a_corrupt_log() -> None:
    disk, checkpoint = stopped()
    leftovers = [f"{7:020d}.index", f"{99:020d}.snapshot", "leader-epochs.tmp", f"{7:020d}.timeindex"]
    for name in leftovers:
        disk.write_file(PATH / name, b"")
    disk.flip_bit(segment_files(disk)[0], 200, 3)
    assert open_log(disk, checkpoint=BEGINNING).defects
    assert set(leftovers) <= set(disk.list_directory(PATH))
    disk.flip_bit(segment_files(disk)[0], 200, 3)
    log = open_log(disk, checkpoint=checkpoint, clean=True)
    assert not set(leftovers) & set(disk.list_directory(PATH))
    assert await read_values(log) == VALUES


async def test_records_of_a_retired_segment_do_not_come_back() -> None:
    disk, checkpoint = stopped()
    there = bases(disk)
    log = open_log(disk, checkpoint=checkpoint._replace(log_start_offset=there[2]), clean=True)
    assert log.log_start_offset == there[2]
    assert bases(disk) == there[2:]


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
    disk.cut_short(first, lost_bytes=10)
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
    there = bases(disk)
    disk.remove_file(segment_files(disk)[1])
    log = open_log(disk, checkpoint=checkpoint._replace(log_start_offset=there[2]))
    assert not log.defects
    assert bases(disk) == there[2:]
