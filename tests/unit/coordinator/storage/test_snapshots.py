from __future__ import annotations

import random
from pathlib import Path

import pytest

from streamkeep_coordinator.storage.errors import CorruptFileError
from streamkeep_coordinator.storage.frame import HEADER_BYTES
from streamkeep_coordinator.storage.snapshots import (
    SnapshotId,
    SnapshotWriter,
    newest_snapshot,
    read_snapshot,
)
from streamkeep_proto.v1.metadata_pb2 import ClusterRecord, MetadataRecord, MetadataSnapshot
from tests.sim.disk import SimDisk

DIRECTORY = Path("/data")
ID = SnapshotId(7, 2)


def new_disk(seed: int = 0) -> SimDisk:
    disk = SimDisk(random.Random(seed))
    disk.make_directories(DIRECTORY)
    disk.sync_directory(DIRECTORY.parent)
    return disk


def chunk(number: int, snapshot_id: SnapshotId = ID) -> MetadataSnapshot:
    record = MetadataRecord(cluster=ClusterRecord(cluster_id=f"chunk-{number}"))
    return MetadataSnapshot(index=snapshot_id.index, term=snapshot_id.term, records=[record])


def write(disk: SimDisk, chunks: int, snapshot_id: SnapshotId = ID) -> list[MetadataSnapshot]:
    writer = SnapshotWriter(disk, DIRECTORY, snapshot_id)
    made = [chunk(number, snapshot_id) for number in range(chunks)]
    for each in made:
        writer.add(each.SerializeToString())
    writer.finish()
    return made


def test_a_finished_snapshot_survives_a_power_cut() -> None:
    disk = new_disk()
    chunks = write(disk, 3)
    disk.power_cut()
    assert newest_snapshot(disk, DIRECTORY) == ID
    assert list(read_snapshot(disk, DIRECTORY, ID)) == chunks


def test_an_unfinished_snapshot_does_not_count_and_is_removed() -> None:
    disk = new_disk()
    write(disk, 1)
    writer = SnapshotWriter(disk, DIRECTORY, SnapshotId(9, 2))
    writer.add(chunk(0).SerializeToString())
    assert newest_snapshot(disk, DIRECTORY) == ID
    assert disk.list_directory(DIRECTORY) == [ID.file_name]


def test_the_older_snapshot_is_removed_when_the_newer_one_is_safe() -> None:
    disk = new_disk()
    write(disk, 1)
    newer = SnapshotId(12, 3)
    write(disk, 1, newer)
    assert disk.list_directory(DIRECTORY) == [newer.file_name]


def test_there_may_be_no_snapshot() -> None:
    assert newest_snapshot(new_disk(), DIRECTORY) is None


def test_a_bit_flipped_anywhere_is_named() -> None:
    disk = new_disk()
    write(disk, 2)
    path = DIRECTORY / ID.file_name
    for byte in range(disk.file_size(path)):
        disk.flip_bit(path, byte, byte % 8)
        with pytest.raises(CorruptFileError, match=r"\.snap is damaged at byte"):
            list(read_snapshot(disk, DIRECTORY, ID))
        disk.flip_bit(path, byte, byte % 8)


@pytest.mark.parametrize("lost", [1, HEADER_BYTES, HEADER_BYTES + 5])
def test_a_snapshot_cut_short_is_named(lost: int) -> None:
    disk = new_disk()
    write(disk, 2)
    path = DIRECTORY / ID.file_name
    file = disk.open(path)
    file.truncate(file.size() - lost)
    with pytest.raises(CorruptFileError, match="the file ends within"):
        list(read_snapshot(disk, DIRECTORY, ID))


def test_something_behind_the_end_is_named() -> None:
    disk = new_disk()
    write(disk, 1)
    disk.open(DIRECTORY / ID.file_name).append([b"x"])
    with pytest.raises(CorruptFileError, match="follows the end"):
        list(read_snapshot(disk, DIRECTORY, ID))
