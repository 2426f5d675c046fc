from __future__ import annotations

import random
from collections import Counter

from streamkeep_coordinator.storage.directory import DataDirectory
from streamkeep_coordinator.storage.frame import HEADER_BYTES, pack_frame
from streamkeep_coordinator.storage.hard_state import HardState
from streamkeep_coordinator.storage.inspect import Item, Kind, inspect
from streamkeep_coordinator.storage.snapshots import SnapshotId
from streamkeep_coordinator.storage.storage import Storage
from tests.sim.disk import SimDisk
from tests.unit.coordinator.storage.directories import (
    DIRECTORY,
    MARKS,
    SEGMENT,
    entries,
    entry,
    new_disk,
    write_snapshot,
)


def directory_with_content(disk: SimDisk) -> None:
    """Open, as that of a coordinator that runs."""
    directory = DataDirectory(disk, DIRECTORY, random.Random(0))
    directory.open(1)
    directory.format("c" * 22, 3)
    storage = Storage(disk, DIRECTORY)
    storage.recover()
    storage.write(hard_state=HardState(2, 1, 0), entries=entries(1, 3, 2))
    write_snapshot(disk, SnapshotId(2, 2))


def contents(disk: SimDisk) -> dict[str, bytes]:
    return {name: disk.read_file(DIRECTORY / name) for name in disk.list_directory(DIRECTORY)}


def of_kind(items: list[Item], kind: Kind) -> list[Item]:
    return [item for item in items if item.kind is kind]


def test_everything_is_told_and_nothing_is_changed() -> None:
    disk = new_disk()
    directory_with_content(disk)
    before = contents(disk)
    items = list(inspect(disk, DIRECTORY))
    assert contents(disk) == before
    assert Counter(item.kind for item in items) == {
        "identity": 1,
        "start": 1,
        "entry": 3,
        "hard_state": 1,
        "seal": 2,
        "mark": 2,
        "snapshot": 2,
    }
    [identity] = of_kind(items, Kind.IDENTITY)
    assert identity.identity is not None
    assert (identity.identity.cluster_id, identity.identity.cluster_epoch) == ("c" * 22, 3)
    assert [(item.index, item.term) for item in of_kind(items, Kind.ENTRY)] == [(1, 2), (2, 2), (3, 2)]
    last = of_kind(items, Kind.ENTRY)[-1].entry
    assert last is not None
    assert last.records[0].topic.name == "t-3"
    assert of_kind(items, Kind.HARD_STATE)[0].hard_state == HardState(2, 1, 0)
    assert of_kind(items, Kind.MARK)[-1].hard_state == HardState(2, 1, 0)
    chunk = of_kind(items, Kind.SNAPSHOT)[0].snapshot
    assert chunk is not None
    assert chunk.index == 2


def test_every_byte_of_the_log_belongs_to_an_item_whatever_is_damaged() -> None:
    disk = new_disk()
    directory_with_content(disk)
    size = disk.file_size(SEGMENT)
    for byte in range(size):
        disk.flip_bit(SEGMENT, byte, byte % 8)
        items = [item for item in inspect(disk, DIRECTORY) if item.file == SEGMENT.name]
        assert [item.byte for item in items] == [0, *(item.byte + item.size for item in items[:-1])]
        assert items[-1].byte + items[-1].size == size
        bad = [item for item in items if item.kind in (Kind.DAMAGE, Kind.TORN)]
        assert len(bad) == 1
        assert bad[0].byte <= byte < bad[0].byte + bad[0].size
        assert (bad[0].kind is Kind.TORN) == (byte >= size - HEADER_BYTES)
        disk.flip_bit(SEGMENT, byte, byte % 8)


def test_a_write_under_way_is_no_damage() -> None:
    disk = new_disk()
    directory_with_content(disk)
    disk.open(SEGMENT).append([pack_frame(4, 2, 3, entry(4).data)[:70]])
    [torn] = of_kind(list(inspect(disk, DIRECTORY)), Kind.TORN)
    assert torn.problem.startswith("the file ends within a frame")


def test_damage_to_identity_marks_and_snapshot_is_told() -> None:
    disk = new_disk()
    directory_with_content(disk)
    disk.flip_bit(DIRECTORY / "identity.json", 20, 1)
    disk.flip_bit(MARKS, 70, 1)
    snapshot = DIRECTORY / SnapshotId(2, 2).file_name
    disk.cut_short(snapshot, lost_bytes=HEADER_BYTES)
    damage = of_kind(list(inspect(disk, DIRECTORY)), Kind.DAMAGE)
    assert [(item.file, item.byte) for item in damage] == [
        ("identity.json", 0),
        ("marks", 64),
        (snapshot.name, disk.file_size(snapshot)),
    ]


def test_what_is_not_a_coordinators_is_left_out() -> None:
    disk = new_disk()
    disk.write_file(DIRECTORY / "notes.txt", b"mine")
    disk.make_directories(DIRECTORY / "damaged-1")
    assert list(inspect(disk, DIRECTORY)) == []
