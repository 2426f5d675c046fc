from __future__ import annotations

import random
from pathlib import Path

import pytest

from streamkeep_coordinator.storage import wal as wal_module
from streamkeep_coordinator.storage.errors import CorruptFileError
from streamkeep_coordinator.storage.frame import HEADER_BYTES, pack_frame
from streamkeep_coordinator.storage.wal import Wal
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, MetadataRecord, TopicRecord
from tests.sim.disk import SimDisk

DIRECTORY = Path("/data")
SEGMENT = DIRECTORY / "log-00000000000000000001.wal"


def new_disk(seed: int = 0) -> SimDisk:
    disk = SimDisk(random.Random(seed))
    disk.make_directories(DIRECTORY)
    disk.sync_directory(DIRECTORY.parent)
    return disk


def entry(index: int, term: int = 1, *, name: str = "") -> MetadataEntry:
    record = MetadataRecord(topic=TopicRecord(topic_id=index.to_bytes(16, "big"), name=name or f"t-{index}"))
    return MetadataEntry(index=index, term=term, time_ms=index, records=[record])


def append(wal: Wal, *entries: MetadataEntry) -> None:
    wal.append([(each.index, each.term, each.SerializeToString()) for each in entries])


def recover(disk: SimDisk, after_index: int = 0) -> tuple[Wal, list[MetadataEntry]]:
    wal = Wal(disk, DIRECTORY)
    return wal, list(wal.recover(after_index))


def written(disk: SimDisk, *groups: list[MetadataEntry]) -> list[MetadataEntry]:
    wal, _ = recover(disk)
    for group in groups:
        append(wal, *group)
    wal.close()
    return [each for group in groups for each in group]


def test_what_was_appended_is_there_after_a_power_cut() -> None:
    disk = new_disk()
    entries = written(disk, [entry(1)], [entry(2), entry(3)], [entry(4, term=2)])
    disk.power_cut()
    wal, found = recover(disk)
    assert found == entries
    assert (wal.last_index, wal.last_term) == (4, 2)


def test_an_empty_directory_is_an_empty_log() -> None:
    wal, found = recover(new_disk())
    assert (found, wal.last_index, wal.last_term) == ([], 0, 0)


def test_a_group_costs_one_flush() -> None:
    disk = new_disk()
    wal, _ = recover(disk)
    append(wal, entry(1))
    before = disk.file_syncs
    append(wal, *(entry(index) for index in range(2, 50)))
    assert disk.file_syncs == before + 1


@pytest.mark.parametrize("kept", range(1, 2 * HEADER_BYTES, 7))
def test_a_torn_tail_is_cut_and_the_rest_survives(kept: int) -> None:
    disk = new_disk()
    entries = written(disk, [entry(1), entry(2)])
    torn = pack_frame(3, 1, 2, entry(3).SerializeToString())
    file = disk.open(SEGMENT)
    file.append([torn[: min(kept, len(torn) - 1)]])

    wal, found = recover(disk)
    assert found == entries

    append(wal, entry(3, term=2))
    assert recover(disk)[1] == [*entries, entry(3, term=2)]


def test_a_torn_group_is_cut_even_if_its_last_entry_reached_the_disk_first() -> None:
    disk = new_disk()
    entries = written(disk, [entry(1)])
    group = [pack_frame(index, 1, 1, entry(index).SerializeToString()) for index in (2, 3)]
    disk.open(SEGMENT).append([bytes(len(group[0])), group[1]])
    assert recover(disk)[1] == entries


def test_a_bit_flipped_anywhere_is_named_and_never_served() -> None:
    entries = [entry(1), entry(2), entry(3, term=2)]
    groups = [[entries[0]], entries[1:]]
    disk = new_disk()
    written(disk, *groups)
    size = disk.file_size(SEGMENT)
    for byte in range(size):
        disk.flip_bit(SEGMENT, byte, byte % 8)
        if byte >= size - HEADER_BYTES:  # the last seal: it only says that what is before it was safe
            continue
        with pytest.raises(CorruptFileError, match=r"log-0+1\.wal is damaged at byte") as raised:
            recover(disk)
        assert raised.value.byte <= byte
        disk.flip_bit(SEGMENT, byte, byte % 8)
    assert recover(disk)[1] == entries


def test_a_log_cut_short_in_an_earlier_segment_is_corrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal_module, "SEGMENT_BYTES", 100)
    disk = new_disk()
    written(disk, *([entry(index)] for index in range(1, 6)))
    file = disk.open(SEGMENT)
    file.truncate(file.size() - HEADER_BYTES - 3)
    with pytest.raises(CorruptFileError, match=r"log-0+1\.wal"):
        recover(disk)


def test_a_missing_segment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal_module, "SEGMENT_BYTES", 100)
    disk = new_disk()
    written(disk, *([entry(index)] for index in range(1, 6)))
    names = disk.list_directory(DIRECTORY)
    assert len(names) >= 3

    disk.remove_file(DIRECTORY / names[1])
    with pytest.raises(CorruptFileError, match=r"entries \d to \d are missing"):
        recover(disk)


def test_entries_that_a_snapshot_needs_must_be_there() -> None:
    disk = new_disk()
    written(disk, [entry(1), entry(2)])
    with pytest.raises(CorruptFileError, match="ends at entry 2, and a snapshot contains entry 5"):
        recover(disk, after_index=5)


def test_only_entries_after_the_snapshot_are_given() -> None:
    disk = new_disk()
    written(disk, [entry(1), entry(2)], [entry(3)])
    assert recover(disk, after_index=2)[1] == [entry(3)]


def test_segments_below_the_window_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal_module, "SEGMENT_BYTES", 100)
    disk = new_disk()
    written(disk, *([entry(index)] for index in range(1, 10)))
    wal, _ = recover(disk)
    wal.drop_before(6)
    first = int(disk.list_directory(DIRECTORY)[0][4:-4])
    assert 1 < first <= 6
    assert [each.index for each in recover(disk, after_index=5)[1]] == [6, 7, 8, 9]
    with pytest.raises(CorruptFileError, match=f"entries 1 to {first - 1} are missing"):
        recover(disk)


def test_a_frame_that_claims_too_much_is_not_believed() -> None:
    disk = new_disk()
    written(disk, [entry(1)])
    disk.open(SEGMENT).append([b"\xff" * 4096])
    assert [each.index for each in recover(disk)[1]] == [1]


@pytest.mark.parametrize("seed_group", range(10))
def test_no_acknowledged_entry_is_lost_whatever_the_moment_of_the_power_cut(seed_group: int) -> None:
    for seed in range(seed_group * 40, seed_group * 40 + 40):
        crash_and_compare(seed)


def crash_and_compare(seed: int) -> None:
    rng = random.Random(seed)
    disk = new_disk(seed)
    proposed: list[MetadataEntry] = []
    acknowledged = 0
    for life in range(1, 5):
        wal, found = recover(disk)
        assert found == proposed[: len(found)], f"seed {seed}"
        assert len(found) >= acknowledged, f"seed {seed}"
        del proposed[len(found) :]
        for _ in range(rng.randrange(1, 8)):
            group = [entry(len(proposed) + 1 + n, life) for n in range(rng.randrange(1, 5))]
            disk.before_sync = cut_power if rng.random() < 0.3 else sync
            proposed += group
            try:
                append(wal, *group)
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
