from __future__ import annotations

from functools import partial

import pytest

from streamkeep_coordinator.storage import log_scan, marks
from streamkeep_coordinator.storage import wal as wal_module
from streamkeep_coordinator.storage.errors import CorruptFileError
from streamkeep_coordinator.storage.frame import HEADER_BYTES
from streamkeep_coordinator.storage.hard_state import HARD_STATE_BYTES, HardState
from streamkeep_coordinator.storage.marks import MARK_BYTES
from streamkeep_coordinator.storage.snapshots import ReceivedSnapshot, SnapshotId
from streamkeep_coordinator.storage.storage import Storage
from tests.sim.disk import SimDisk
from tests.unit.coordinator.storage.directories import (
    DIRECTORY,
    MARKS,
    SEGMENT,
    chunk,
    crash_at_sync,
    entries,
    entry,
    new_disk,
    receive_snapshot,
    recover,
    recovered,
    write_snapshot,
    written,
)


def contents(disk: SimDisk) -> dict[str, bytes]:
    return {name: disk.read_file(DIRECTORY / name) for name in disk.list_directory(DIRECTORY)}


# --- what was cut off cleanly ---


def test_a_log_that_was_cut_off_between_two_entries_is_not_one_that_ended_there() -> None:
    disk = new_disk()
    written(disk, [entry(1)], [entry(2)])
    last = HEADER_BYTES + len(entry(2).data) + HEADER_BYTES
    disk.cut_short(SEGMENT, lost_bytes=last)
    with pytest.raises(CorruptFileError, match=r"log-0+1\.wal .* ends at entry 1, and entry 2 was safe"):
        recover(disk)


def test_a_vote_that_was_cut_off_is_missed() -> None:
    disk = new_disk()
    storage, _ = recover(disk)
    storage.write(hard_state=HardState(1, 1, 0))
    storage.write(hard_state=HardState(2, 3, 0))
    disk.cut_short(SEGMENT, lost_bytes=2 * HEADER_BYTES + HARD_STATE_BYTES)
    with pytest.raises(CorruptFileError, match=r"HardState\(term=2, vote=3, .* was promised"):
        recover(disk)


def test_a_log_that_is_gone_is_missed() -> None:
    disk = new_disk()
    written(disk, entries(1, 3))
    disk.remove_file(SEGMENT)
    with pytest.raises(CorruptFileError, match="ends at entry 0, and entry 3 was safe"):
        recover(disk)


@pytest.mark.parametrize("left", [0, 1, MARK_BYTES - 1])
def test_marks_that_cannot_be_read_are_damage(left: int) -> None:
    disk = new_disk()
    written(disk, entries(1, 3))
    disk.cut_short(MARKS, lost_bytes=disk.file_size(MARKS) - left)
    with pytest.raises(CorruptFileError, match=r"marks .* no mark in it can be read"):
        recover(disk)


def test_marks_that_are_gone_are_damage() -> None:
    disk = new_disk()
    written(disk, entries(1, 3))
    disk.remove_file(MARKS)
    with pytest.raises(CorruptFileError, match=r"marks .* it is missing"):
        recover(disk)


def test_a_mark_that_a_power_cut_took_or_tore_is_no_damage() -> None:
    disk = new_disk()
    expected = written(disk, [entry(1)], [entry(2)])
    for lost in (7, MARK_BYTES, MARK_BYTES + 7, 2 * MARK_BYTES):
        disk = new_disk()
        written(disk, [entry(1)], [entry(2)])
        disk.cut_short(MARKS, lost_bytes=lost)
        assert recovered(disk).entries == expected


def test_marks_do_not_grow_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "MAX_MARKS_BYTES", 1_000)
    disk = new_disk()
    storage, _ = recover(disk)
    for index in range(1, 100):
        storage.write(entries=[entry(index)])
        assert disk.file_size(MARKS) < 1_000 + MARK_BYTES
    assert len(recovered(disk).entries) == 99


def test_files_longer_than_they_can_be_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = new_disk()
    written(disk, entries(1, 9))
    monkeypatch.setattr(log_scan, "MAX_SEGMENT_BYTES", 100)
    with pytest.raises(CorruptFileError, match="longer than a segment can be"):
        recover(disk)
    monkeypatch.undo()
    monkeypatch.setattr(marks, "MAX_MARKS_BYTES", 1)
    with pytest.raises(CorruptFileError, match=r"marks .* longer than it can be"):
        recover(disk)


def test_a_damaged_directory_is_left_as_it_was_found() -> None:
    disk = new_disk()
    written(disk, entries(1, 3), [entry(4)])
    disk.flip_bit(SEGMENT, 200, 3)
    before = contents(disk)
    with pytest.raises(CorruptFileError):
        recover(disk)
    assert contents(disk) == before


def test_an_examination_changes_nothing_and_sees_the_same() -> None:
    disk = new_disk()
    expected = written(disk, entries(1, 3))
    disk.open(SEGMENT).append([b"torn"])
    before = contents(disk)
    assert Storage(disk, DIRECTORY).examine().entries == expected
    assert contents(disk) == before
    assert recovered(disk).entries == expected


# --- snapshots of others ---


def test_an_installed_snapshot_takes_the_place_of_the_whole_log_and_the_vote_stays() -> None:
    disk = new_disk()
    storage, _ = recover(disk)
    storage.write(hard_state=HardState(5, 2, 1), entries=entries(1, 9))
    write_snapshot(disk, SnapshotId(1, 1))
    storage.install(receive_snapshot(disk, SnapshotId(6, 4)))
    assert (storage.last_index, storage.last_term) == (6, 4)
    storage.write(entries=[entry(7, 5)])
    disk.power_cut()
    found = recovered(disk)
    assert found.snapshot == SnapshotId(6, 4)
    assert list(found.snapshot_chunks) == [chunk(number, SnapshotId(6, 4)) for number in range(2)]
    assert found.entries == [entry(7, 5)]
    assert found.hard_state == HardState(5, 2, 1)
    assert len(disk.list_directory(DIRECTORY)) == 3


def receive_and_install(disk: SimDisk, storage: Storage) -> None:
    storage.install(receive_snapshot(disk, SnapshotId(9, 4)))


def test_an_install_happens_or_does_not_whatever_the_moment_of_the_power_cut() -> None:
    outcomes = set()
    for moment in range(12):
        for seed in range(8):
            disk = new_disk(seed)
            storage, _ = recover(disk)
            storage.write(hard_state=HardState(5, 2, 0), entries=entries(1, 4))
            crash_at_sync(disk, moment, partial(receive_and_install, disk, storage))
            found = recovered(disk)
            assert found.hard_state == HardState(5, 2, 0)
            if found.snapshot is None:
                assert found.entries == entries(1, 4)
            else:
                assert len(list(found.snapshot_chunks)) == 2
                assert found.entries == []
            outcomes.add(found.snapshot)
    assert outcomes == {None, SnapshotId(9, 4)}


def test_a_received_snapshot_that_was_not_installed_does_not_count() -> None:
    disk = new_disk()
    expected = written(disk, entries(1, 3))
    receive_snapshot(disk, SnapshotId(9, 4))
    unfinished = ReceivedSnapshot(disk, DIRECTORY, SnapshotId(12, 4))
    unfinished.add(b"half")
    found = recovered(disk)
    assert (found.snapshot, found.entries) == (None, expected)
    assert [name for name in disk.list_directory(DIRECTORY) if name.startswith("snapshot-")] == []


def test_an_own_snapshot_takes_the_place_of_the_received_one() -> None:
    disk = new_disk()
    storage, _ = recover(disk)
    storage.install(receive_snapshot(disk, SnapshotId(6, 4)))
    storage.write(entries=[entry(7, 5), entry(8, 5)])
    write_snapshot(disk, SnapshotId(7, 5))
    assert [name for name in disk.list_directory(DIRECTORY) if name.startswith("snapshot-")] == [
        SnapshotId(7, 5).file_name
    ]
    found = recovered(disk)
    assert (found.snapshot, found.entries) == (SnapshotId(7, 5), [entry(8, 5)])


def test_an_installed_snapshot_that_is_gone_is_missed() -> None:
    disk = new_disk()
    storage, _ = recover(disk)
    storage.install(receive_snapshot(disk, SnapshotId(6, 4)))
    disk.remove_file(DIRECTORY / SnapshotId(6, 4).received_name)
    with pytest.raises(CorruptFileError, match="entries 1 to 6 are missing"):
        recover(disk)


def test_a_damaged_snapshot_is_named_when_it_is_read() -> None:
    disk = new_disk()
    written(disk, entries(1, 3))
    write_snapshot(disk, SnapshotId(2, 1))
    path = DIRECTORY / SnapshotId(2, 1).file_name
    disk.flip_bit(path, 45, 1)
    found = recovered(disk)
    with pytest.raises(CorruptFileError, match=r"snapshot-.* is damaged at byte 0"):
        list(found.snapshot_chunks)


# --- the log goes on ---


def test_a_log_of_nothing_but_votes_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal_module, "SEGMENT_BYTES", 1_000)
    disk = new_disk()
    storage, _ = recover(disk)
    for term in range(1, 300):
        storage.write(hard_state=HardState(term, 1, 0))
    names = [name for name in disk.list_directory(DIRECTORY) if name.endswith(".wal")]
    assert names == [SEGMENT.name]
    assert disk.file_size(SEGMENT) < 2_000
    disk.power_cut()
    assert recovered(disk).hard_state == HardState(299, 1, 0)


def test_a_write_that_would_leave_a_gap_is_a_bug_and_not_written() -> None:
    disk = new_disk()
    storage, _ = recover(disk)
    storage.write(entries=[entry(1, 3)])
    with pytest.raises(AssertionError, match="entry 3 after 1"):
        storage.write(entries=[entry(3, 3)])
    with pytest.raises(AssertionError, match="of term 2 after term 3"):
        storage.write(entries=[entry(2, 2)])
    assert recovered(disk).entries == [entry(1, 3)]
