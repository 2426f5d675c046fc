"""What tests of the coordinator's storage share: a disk with a directory, entries, and ways to write them."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from streamkeep_coordinator.storage.snapshots import ReceivedSnapshot, SnapshotId, SnapshotWriter
from streamkeep_coordinator.storage.storage import Recovered, Storage
from streamkeep_proto.v1.metadata_pb2 import (
    ClusterRecord,
    MetadataEntry,
    MetadataRecord,
    MetadataSnapshot,
    QuorumRecord,
    TopicRecord,
)
from streamkeep_proto.v1.raft_pb2 import RaftEntry
from tests.sim.disk import SimDisk

DIRECTORY = Path("/data")
SEGMENT = DIRECTORY / "log-00000000000000000001.wal"
MARKS = DIRECTORY / "marks"


def new_disk(seed: int = 0) -> SimDisk:
    disk = SimDisk(random.Random(seed))
    disk.make_directories(DIRECTORY)
    disk.sync_directory(DIRECTORY.parent)
    return disk


def entry(index: int, term: int = 1, *, name: str = "", quorum: QuorumRecord | None = None) -> RaftEntry:
    topic = TopicRecord(topic_id=index.to_bytes(16, "big"), name=name or f"t-{index}")
    records = [MetadataRecord(topic=topic)] if quorum is None else [MetadataRecord(quorum=quorum)]
    data = MetadataEntry(index=index, term=term, time_ms=index, records=records).SerializeToString()
    return RaftEntry(index=index, term=term, data=data, quorum=quorum)


def entries(first: int, last: int, term: int = 1) -> list[RaftEntry]:
    return [entry(index, term) for index in range(first, last + 1)]


def recover(disk: SimDisk) -> tuple[Storage, Recovered]:
    """As a process that starts: whatever an earlier one held open is gone."""
    disk.kill()
    storage = Storage(disk, DIRECTORY)
    return storage, storage.recover()


def recovered(disk: SimDisk) -> Recovered:
    storage, found = recover(disk)
    storage.close()
    return found


def written(disk: SimDisk, *groups: list[RaftEntry]) -> list[RaftEntry]:
    """Each group in a flush of its own."""
    storage, _ = recover(disk)
    for group in groups:
        storage.write(entries=group)
    storage.close()
    return [each for group in groups for each in group]


def chunk(number: int, snapshot_id: SnapshotId) -> MetadataSnapshot:
    record = MetadataRecord(cluster=ClusterRecord(cluster_id=f"chunk-{number}"))
    return MetadataSnapshot(index=snapshot_id.index, term=snapshot_id.term, records=[record])


def write_snapshot(disk: SimDisk, snapshot_id: SnapshotId, chunks: int = 2) -> list[MetadataSnapshot]:
    writer = SnapshotWriter(disk, DIRECTORY, snapshot_id)
    made = [chunk(number, snapshot_id) for number in range(chunks)]
    for each in made:
        writer.add(each.SerializeToString())
    writer.finish()
    return made


def receive_snapshot(disk: SimDisk, snapshot_id: SnapshotId, chunks: int = 2) -> ReceivedSnapshot:
    received = ReceivedSnapshot(disk, DIRECTORY, snapshot_id)
    for number in range(chunks):
        received.add(chunk(number, snapshot_id).SerializeToString())
    received.finish()
    return received


class CrashError(Exception):
    pass


def crash_at_sync(disk: SimDisk, moment: int, work: Callable[[], object]) -> None:
    """Cut the power at that flush of the work, or after it."""
    left = moment

    def before_sync(path: Path) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise CrashError

    disk.before_sync = before_sync
    with suppress(CrashError):
        work()
    disk.before_sync = lambda path: None
    disk.power_cut()
