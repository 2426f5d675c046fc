from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import pytest

from streamkeep_coordinator.storage import wal as wal_module
from streamkeep_coordinator.storage.errors import CorruptFileError
from streamkeep_coordinator.storage.frame import HEADER_BYTES, pack_frame
from streamkeep_coordinator.storage.hard_state import HardState
from streamkeep_coordinator.storage.segment import START_BYTES
from streamkeep_coordinator.storage.snapshots import SnapshotId
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry
from tests.sim.disk import SimDisk
from tests.unit.coordinator.storage.directories import (
    DIRECTORY,
    SEGMENT,
    crash_at_sync,
    entries,
    entry,
    new_disk,
    recover,
    recovered,
    write_snapshot,
    written,
)


def segments(disk: SimDisk) -> list[str]:
    return [name for name in disk.list_directory(DIRECTORY) if name.endswith(".wal")]


def test_what_was_written_is_there_after_a_power_cut() -> None:
    disk = new_disk()
    expected = written(disk, [entry(1)], [entry(2), entry(3)], [entry(4, term=2)])
    disk.power_cut()
    storage, found = recover(disk)
    assert found.entries == expected
    assert (storage.last_index, storage.last_term) == (4, 2)


def test_an_empty_directory_is_an_empty_log() -> None:
    storage, found = recover(new_disk())
    assert (found.entries, found.snapshot, found.hard_state) == ([], None, HardState())
    assert (storage.last_index, storage.last_term) == (0, 0)


def test_a_group_with_its_hard_state_costs_one_flush() -> None:
    disk = new_disk()
    storage, _ = recover(disk)
    storage.write(entries=[entry(1)])
    before = disk.file_syncs
    storage.write(hard_state=HardState(2, 1, 1), entries=entries(2, 50))
    assert disk.file_syncs == before + 1


def test_a_write_of_any_size_is_divided_into_flushes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal_module, "MAX_FLUSH_BYTES", 300)
    monkeypatch.setattr(wal_module, "SEGMENT_BYTES", 1_000)
    disk = new_disk()
    expected = written(disk, entries(1, 100))
    assert len(segments(disk)) > 5
    assert recovered(disk).entries == expected


def test_a_vote_is_remembered_without_any_entry() -> None:
    disk = new_disk()
    storage, _ = recover(disk)
    storage.write(hard_state=HardState(3, 2, 0))
    disk.power_cut()
    assert recovered(disk).hard_state == HardState(3, 2, 0)


def test_the_newest_hard_state_counts() -> None:
    disk = new_disk()
    storage, _ = recover(disk)
    storage.write(hard_state=HardState(1, 1, 0), entries=entries(1, 2))
    storage.write(hard_state=HardState(4, 3, 2))
    assert recovered(disk).hard_state == HardState(4, 3, 2)


def test_a_log_without_hard_states_has_the_term_of_its_last_entry() -> None:
    disk = new_disk()
    written(disk, [entry(1), entry(2, term=7)])
    assert recovered(disk).hard_state == HardState(7, 0, 0)


def test_a_quorum_in_an_entry_is_found_again() -> None:
    disk = new_disk()
    quorum = QuorumRecord(cluster_epoch=1, members=[QuorumMember(coordinator_id=1, voter=True)])
    written(disk, [entry(1, quorum=quorum), entry(2)])
    found = recovered(disk).entries
    assert found[0].quorum == quorum
    assert not found[1].HasField("quorum")


@pytest.mark.parametrize("kept", range(1, 2 * HEADER_BYTES, 7))
def test_a_torn_tail_is_cut_and_the_rest_survives(kept: int) -> None:
    disk = new_disk()
    expected = written(disk, [entry(1), entry(2)])
    torn = pack_frame(3, 1, 2, entry(3).data)
    disk.open(SEGMENT).append([torn[: min(kept, len(torn) - 1)]])

    storage, found = recover(disk)
    assert found.entries == expected

    storage.write(entries=[entry(3, term=2)])
    assert recovered(disk).entries == [*expected, entry(3, term=2)]


def test_a_torn_group_is_cut_even_if_its_last_entry_reached_the_disk_first() -> None:
    disk = new_disk()
    expected = written(disk, [entry(1)])
    group = [pack_frame(index, 1, 1, entry(index).data) for index in (2, 3)]
    disk.open(SEGMENT).append([bytes(len(group[0])), group[1]])
    assert recovered(disk).entries == expected


def test_entries_that_only_the_page_cache_has_are_made_durable_before_they_count() -> None:
    """The process dies between write and flush; the next one reads what it wrote, and the power fails."""
    for seed in range(20):
        disk = new_disk(seed)
        expected = written(disk, [entry(1)])
        disk.open(SEGMENT).append([pack_frame(2, 1, 1, entry(2).data)])
        found = recovered(disk).entries
        assert found == [*expected, entry(2)]
        disk.power_cut()
        assert recovered(disk).entries == found


def test_what_a_failed_flush_left_in_the_page_cache_is_written_anew() -> None:
    """The kernel calls the pages clean although they never reached the disk."""
    for seed in range(20):
        disk = new_disk(seed)
        storage, _ = recover(disk)
        storage.write(entries=[entry(1)])
        disk.fail("sync")
        with pytest.raises(OSError, match="Input/output error"):
            storage.write(hard_state=HardState(2, 3, 1), entries=[entry(2)])
        disk.heal()
        storage, found = recover(disk)
        assert found.entries == [entry(1), entry(2)]
        storage.write(entries=[entry(3)])
        disk.power_cut()
        after = recovered(disk)
        assert after.entries == [entry(1), entry(2), entry(3)]
        assert after.hard_state == HardState(2, 3, 1)


def test_a_log_cut_short_in_an_earlier_segment_is_corrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal_module, "SEGMENT_BYTES", 200)
    disk = new_disk()
    written(disk, *([entry(index)] for index in range(1, 6)))
    disk.cut_short(SEGMENT, lost_bytes=HEADER_BYTES + 3)
    with pytest.raises(CorruptFileError, match=r"log-0+1\.wal"):
        recover(disk)


def test_a_missing_segment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal_module, "SEGMENT_BYTES", 200)
    disk = new_disk()
    written(disk, *([entry(index)] for index in range(1, 10)))
    names = segments(disk)
    assert len(names) >= 3
    disk.remove_file(DIRECTORY / names[1])
    with pytest.raises(CorruptFileError, match=r"it follows entry \d, and the log before it ends at \d"):
        recover(disk)


def test_a_snapshot_that_the_log_does_not_reach_is_corruption() -> None:
    disk = new_disk()
    written(disk, [entry(1), entry(2)])
    write_snapshot(disk, SnapshotId(5, 1))
    with pytest.raises(CorruptFileError, match="ends at entry 2, and a snapshot contains entry 5"):
        recover(disk)


def test_a_snapshot_of_another_history_is_corruption() -> None:
    disk = new_disk()
    written(disk, entries(1, 5))
    write_snapshot(disk, SnapshotId(3, 2))
    with pytest.raises(CorruptFileError, match=r"entry 3 is not that of snapshot-"):
        recover(disk)


def test_only_entries_after_the_snapshot_are_given() -> None:
    disk = new_disk()
    written(disk, [entry(1), entry(2)], [entry(3)])
    chunks = write_snapshot(disk, SnapshotId(2, 1))
    found = recovered(disk)
    assert found.entries == [entry(3)]
    assert found.snapshot == SnapshotId(2, 1)
    assert list(found.snapshot_chunks) == chunks


def test_segments_below_the_window_are_dropped_and_the_hard_state_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wal_module, "SEGMENT_BYTES", 200)
    disk = new_disk()
    storage, _ = recover(disk)
    storage.write(hard_state=HardState(1, 3, 0))
    for index in range(1, 10):
        storage.write(entries=[entry(index)])
    write_snapshot(disk, SnapshotId(5, 1))
    storage.drop_before(6)
    first = int(segments(disk)[0][4:-4])
    assert 1 < first <= 6
    found = recovered(disk)
    assert [each.index for each in found.entries] == [6, 7, 8, 9]
    assert found.hard_state == HardState(1, 3, 0)

    disk.remove_file(DIRECTORY / SnapshotId(5, 1).file_name)
    with pytest.raises(CorruptFileError, match=f"entries 1 to {first - 1} are missing"):
        recover(disk)


def test_a_frame_that_claims_too_much_is_not_believed() -> None:
    disk = new_disk()
    written(disk, [entry(1)])
    disk.open(SEGMENT).append([b"\xff" * 4096])
    assert [each.index for each in recovered(disk).entries] == [1]


@pytest.mark.parametrize("from_index", range(1, 13))
def test_a_suffix_that_is_taken_back_does_not_come_back(
    from_index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal_module, "SEGMENT_BYTES", 300)
    disk = new_disk()
    storage, _ = recover(disk)
    for index in range(1, 13):
        storage.write(hard_state=HardState(1, 2, 0), entries=[entry(index)])
    assert len(segments(disk)) > 3
    storage.write(hard_state=HardState(2, 0, 0), truncate_from=from_index, entries=[entry(from_index, 2)])
    storage.write(entries=[entry(from_index + 1, 2)])
    disk.power_cut()
    found = recovered(disk)
    assert found.entries == [*entries(1, from_index - 1), entry(from_index, 2), entry(from_index + 1, 2)]
    assert found.hard_state == HardState(2, 0, 0)


def test_a_suffix_is_taken_back_over_and_over() -> None:
    disk = new_disk()
    storage, _ = recover(disk)
    for term in range(1, 30):
        storage.write(
            hard_state=HardState(term, 1, 0), truncate_from=2, entries=entries(min(term, 2), 4, term)
        )
    found = recovered(disk)
    assert [each.term for each in found.entries] == [1, 29, 29, 29]
    assert len(segments(disk)) == 2


def test_taking_back_from_behind_the_end_changes_nothing() -> None:
    disk = new_disk()
    expected = written(disk, entries(1, 3))
    storage, _ = recover(disk)
    storage.write(truncate_from=4, entries=[entry(4)])
    assert recovered(disk).entries == [*expected, entry(4)]
    assert len(segments(disk)) == 1


def test_a_vote_behind_the_suffix_that_is_taken_back_is_kept_at_any_moment() -> None:
    """It stands behind entry 3 in the file; no power cut within the truncation may lose it."""
    for moment in range(12):
        for seed in range(10):
            disk = new_disk(seed)
            storage, _ = recover(disk)
            storage.write(hard_state=HardState(1, 1, 0), entries=entries(1, 5))
            storage.write(hard_state=HardState(2, 3, 2))
            vote = HardState(3, 0, 2)
            write = partial(storage.write, hard_state=vote, truncate_from=3, entries=[entry(3, 3)])
            crash_at_sync(disk, moment, write)
            found = recovered(disk)
            assert found.hard_state.keeps(HardState(2, 3, 2)), (moment, seed)
            assert found.entries in (entries(1, 5), entries(1, 2), [*entries(1, 2), entry(3, 3)]), (
                moment,
                seed,
            )


@pytest.mark.parametrize("seed_group", range(10))
def test_no_acknowledged_entry_is_lost_whatever_the_moment_of_the_power_cut(seed_group: int) -> None:
    for seed in range(seed_group * 40, seed_group * 40 + 40):
        crash_and_compare(seed)


def crash_and_compare(seed: int) -> None:
    rng = random.Random(seed)
    disk = new_disk(seed)
    proposed: list[RaftEntry] = []
    acknowledged = 0
    for life in range(1, 5):
        storage, found = recover(disk)
        assert found.entries == proposed[: len(found.entries)], f"seed {seed}"
        assert len(found.entries) >= acknowledged, f"seed {seed}"
        del proposed[len(found.entries) :]
        for _ in range(rng.randrange(1, 8)):
            group = [entry(len(proposed) + 1 + n, life) for n in range(rng.randrange(1, 5))]
            disk.before_sync = cut_power if rng.random() < 0.3 else sync
            proposed += group
            try:
                storage.write(entries=group)
            except PowerCutError:
                break
            acknowledged = len(proposed)
        disk.before_sync = sync
        disk.power_cut()


class PowerCutError(Exception):
    pass


def cut_power(path: Path) -> None:
    raise PowerCutError


def sync(path: Path) -> None:
    pass


def test_a_bit_flipped_anywhere_loses_nothing_in_silence() -> None:
    disk = new_disk()
    storage, _ = recover(disk)
    storage.write(hard_state=HardState(1, 1, 0), entries=[entry(1)])
    storage.write(entries=[entry(2), entry(3, term=1)])
    storage.write(hard_state=HardState(2, 2, 3))
    storage.close()
    whole = disk.read_file(SEGMENT)
    last_seal = len(whole) - HEADER_BYTES
    for byte in range(START_BYTES, last_seal):
        disk.flip_bit(SEGMENT, byte, byte % 8)
        with pytest.raises(CorruptFileError, match=r"log-0+1\.wal is damaged at byte") as raised:
            recover(disk)
        assert raised.value.byte <= byte
        disk.flip_bit(SEGMENT, byte, byte % 8)
    disk.flip_bit(SEGMENT, last_seal + 3, 1)  # it only says that what is before it was safe
    found = recovered(disk)
    assert (found.entries, found.hard_state) == (entries(1, 3), HardState(2, 2, 3))
