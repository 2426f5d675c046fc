from __future__ import annotations

import pytest

from streamkeep_coordinator.storage.errors import CorruptFileError
from streamkeep_coordinator.storage.frame import HEADER_BYTES
from streamkeep_coordinator.storage.snapshots import (
    SnapshotId,
    SnapshotWriter,
    newest_snapshot,
    read_snapshot,
    remove_others,
)
from tests.unit.coordinator.storage.directories import DIRECTORY, chunk, new_disk, write_snapshot

ID = SnapshotId(7, 2)


def test_a_finished_snapshot_survives_a_power_cut() -> None:
    disk = new_disk()
    chunks = write_snapshot(disk, ID, 3)
    disk.power_cut()
    assert newest_snapshot(disk, DIRECTORY) == ID
    assert list(read_snapshot(disk, DIRECTORY / ID.file_name, ID)) == chunks


def test_an_unfinished_snapshot_does_not_count_and_is_removed() -> None:
    disk = new_disk()
    write_snapshot(disk, ID, 1)
    writer = SnapshotWriter(disk, DIRECTORY, SnapshotId(9, 2))
    writer.add(chunk(0, ID).SerializeToString())
    assert newest_snapshot(disk, DIRECTORY) == ID
    remove_others(disk, DIRECTORY, DIRECTORY / ID.file_name)
    assert disk.list_directory(DIRECTORY) == [ID.file_name]


def test_the_older_snapshot_is_removed_when_the_newer_one_is_safe() -> None:
    disk = new_disk()
    write_snapshot(disk, ID, 1)
    newer = SnapshotId(12, 3)
    write_snapshot(disk, newer, 1)
    assert disk.list_directory(DIRECTORY) == [newer.file_name]


def test_there_may_be_no_snapshot() -> None:
    assert newest_snapshot(new_disk(), DIRECTORY) is None


def test_a_bit_flipped_anywhere_is_named() -> None:
    disk = new_disk()
    write_snapshot(disk, ID, 2)
    path = DIRECTORY / ID.file_name
    for byte in range(disk.file_size(path)):
        disk.flip_bit(path, byte, byte % 8)
        with pytest.raises(CorruptFileError, match=r"\.snap is damaged at byte"):
            list(read_snapshot(disk, DIRECTORY / ID.file_name, ID))
        disk.flip_bit(path, byte, byte % 8)


@pytest.mark.parametrize("lost", [1, HEADER_BYTES, HEADER_BYTES + 5])
def test_a_snapshot_cut_short_is_named(lost: int) -> None:
    disk = new_disk()
    write_snapshot(disk, ID, 2)
    path = DIRECTORY / ID.file_name
    disk.cut_short(path, lost_bytes=lost)
    with pytest.raises(CorruptFileError, match="the file ends within"):
        list(read_snapshot(disk, DIRECTORY / ID.file_name, ID))


def test_something_behind_the_end_is_named() -> None:
    disk = new_disk()
    write_snapshot(disk, ID, 1)
    disk.open(DIRECTORY / ID.file_name).append([b"x"])
    with pytest.raises(CorruptFileError, match="follows the end"):
        list(read_snapshot(disk, DIRECTORY / ID.file_name, ID))
