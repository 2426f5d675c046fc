"""What a coordinator remembers: the log, the newest snapshot, the hard state; and what it remembers it wrote.

The promise: after `recover` a directory has everything that it ever said was durable, or it raises
CorruptFileError with file and byte. The caller then moves the directory's files away and comes back as
somebody else (directory.py); nothing is repaired by guessing.

| found                                                                | is                              |
|----------------------------------------------------------------------|---------------------------------|
| bad frames at the end of the newest segment, nothing safe behind     | a torn tail: cut                |
| good frames behind the last seal                                     | kept, and written anew          |
| any other bad frame, gap, order or beginning in the log              | corruption (log_scan.py)        |
| log or hard state that are less than the newest readable mark        | corruption: the log was cut off |
| no readable mark, although there is a log, a snapshot or a cluster   | corruption                      |
| the newest snapshot: a bad chunk, no seal, more after the seal       | corruption, raised with chunks  |
| a snapshot that the log does not reach, or ends in another entry     | corruption                      |
| a log that begins behind what the snapshot contains                  | corruption: files are missing   |
| the same, and a received snapshot contains exactly what is missing   | that snapshot counts            |
| segments and suffixes that a higher generation made void             | a change of the log: finished   |
| files written aside and never renamed                                | never promised: removed         |
| no identity, a bad one, or one of no cluster, and a log or snapshot  | corruption (directory.py)       |

What cannot be seen: seals and marks are flushed with the next write, not with their own. If a power cut took
the newest of both *and* the same disk afterwards loses or damages the write before it, that looks as if it
never was. The same holds for a log that is cut exactly where the newest surviving mark says.

An install is one step: once the received snapshot is durable (`ReceivedSnapshot.finish`) a segment is made
that `replaces` all before it. Old segments and snapshots are removed then; a crash before that is harmless.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from streamkeep_common.seams import Disk
from streamkeep_coordinator.storage.errors import CorruptFileError
from streamkeep_coordinator.storage.frame import Frame
from streamkeep_coordinator.storage.hard_state import HardState
from streamkeep_coordinator.storage.log_scan import LogScan
from streamkeep_coordinator.storage.marks import Marks
from streamkeep_coordinator.storage.segment import segment_name
from streamkeep_coordinator.storage.snapshots import (
    ReceivedSnapshot,
    SnapshotId,
    newest_snapshot,
    read_snapshot,
    remove_older,
    remove_others,
)
from streamkeep_coordinator.storage.wal import Wal
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, MetadataSnapshot
from streamkeep_proto.v1.raft_pb2 import RaftEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """All that is durable. `snapshot_chunks` may raise CorruptFileError; `entries` follow the snapshot.

    `is_first_format`: at least the oldest of it was written by a version that had no hard state.
    """

    hard_state: HardState
    is_first_format: bool
    snapshot: SnapshotId | None
    snapshot_path: Path | None
    snapshot_chunks: Iterator[MetadataSnapshot]
    entries: list[RaftEntry]


class Storage:
    """Log, snapshots and marks of one directory. `recover` first; one thread at a time calls the rest."""

    def __init__(self, disk: Disk, directory: Path) -> None:
        self._disk = disk
        self._directory = directory
        self._wal = Wal(disk, directory)
        self._marks = Marks(disk, directory)

    @property
    def last_index(self) -> int:
        """Of the last durable entry; 0 = none."""
        return self._wal.last_index

    @property
    def last_term(self) -> int:
        return self._wal.last_term

    @property
    def hard_state(self) -> HardState:
        return self._wal.hard_state

    def recover(self) -> Recovered:
        """Everything durable. CorruptFileError names what is damaged, and then nothing was changed."""
        self._disk.sync_directory(self._directory)  # a rename may have been seen before it was durable
        scan, found = self._read()
        self._wal.restore(scan)
        remove_others(self._disk, self._directory, found.snapshot_path)
        self._marks.replace(self._wal.mark())
        return found

    def examine(self) -> Recovered:
        """As `recover`, but nothing is changed, and nothing can be written afterwards."""
        return self._read()[1]

    def write(
        self,
        *,
        hard_state: tuple[int, int, int] | None = None,
        truncate_from: int = 0,
        entries: Sequence[RaftEntry] = (),
    ) -> None:
        """Take back entries from that index on (0 = none), then make the rest durable. OSError is final.

        One flush; a truncation, which is rare, costs some more. Entries follow the last one without gaps.
        """
        if truncate_from:
            self._wal.truncate(truncate_from)
        self._wal.write(HardState(*hard_state) if hard_state is not None else None, entries)
        assert self.hard_state.committed_index <= self.last_index, "committed, and not in the log"
        self._mark(flush=bool(truncate_from))

    def install(self, received: ReceivedSnapshot) -> None:
        """A finished snapshot takes the place of the log and of all older snapshots. OSError is final."""
        newest = newest_snapshot(self._disk, self._directory)
        assert newest is None or newest.index < received.id.index, f"{newest} is newer than {received.id}"
        self._wal.begin_after(received.id)
        remove_older(self._disk, self._directory, received.id)
        self._mark(flush=True)

    def drop_before(self, index: int) -> None:
        """Remove what holds only entries below that index. A snapshot must contain them. OSError is final."""
        self._wal.drop_before(index)

    def close(self) -> None:
        self._wal.close()
        self._marks.close()

    def _read(self) -> tuple[LogScan, Recovered]:
        scan = LogScan(self._disk, self._directory)
        snapshot, path = self._find_snapshot(scan)
        after = snapshot.index if snapshot is not None else 0
        entries = [self._entry(scan, frame) for frame in scan.entries(snapshot) if frame.index > after]
        if snapshot is not None and scan.last_index < snapshot.index:
            self._fail_at_end(scan, f"and a snapshot contains entry {snapshot.index}")
        self._check_marks(scan, snapshot)
        chunks = read_snapshot(self._disk, path, snapshot) if snapshot and path else iter(())
        found = Recovered(
            hard_state=scan.hard_state,
            is_first_format=scan.is_first_format,
            snapshot=snapshot,
            snapshot_path=path,
            snapshot_chunks=chunks,
            entries=entries,
        )
        return scan, found

    def _mark(self, *, flush: bool) -> None:
        mark = self._wal.mark()
        if flush:
            self._marks.replace(mark)
        else:
            self._marks.append(mark)

    def _find_snapshot(self, scan: LogScan) -> tuple[SnapshotId | None, Path | None]:
        """The one that counts: a received one if the log begins with it and no newer one was taken."""
        snapshot = newest_snapshot(self._disk, self._directory)
        contained = snapshot.index if snapshot is not None else 0
        if contained < scan.base_index:
            received = SnapshotId(scan.base_index, scan.chain[0].base_term)
            path = self._directory / received.received_name
            if not self._disk.exists(path):
                missing = f"entries {contained + 1} to {scan.base_index} are missing"
                raise CorruptFileError(self._path(scan.chain[0].first), 0, missing)
            return received, path
        return snapshot, self._directory / snapshot.file_name if snapshot is not None else None

    def _check_marks(self, scan: LogScan, snapshot: SnapshotId | None) -> None:
        if not self._marks.exist() and not scan.chain and snapshot is None:
            return
        mark = self._marks.newest()
        is_same_log = scan.generation == mark.generation
        if scan.generation < mark.generation or (is_same_log and scan.last_index < mark.last_index):
            self._fail_at_end(scan, f"and entry {mark.last_index} was safe")
        if not scan.hard_state.keeps(mark.hard_state):
            self._fail_at_end(scan, f"and {mark.hard_state} was promised after {scan.hard_state}")
        if scan.hard_state.committed_index > scan.last_index:
            self._fail_at_end(scan, f"and entry {scan.hard_state.committed_index} was committed")

    def _fail_at_end(self, scan: LogScan, reason: str) -> None:
        path = self._path(scan.chain[-1].first if scan.chain else 1)
        size = self._disk.file_size(path) if scan.chain else 0
        raise CorruptFileError(path, size, f"the log ends at entry {scan.last_index}, {reason}")

    def _entry(self, scan: LogScan, frame: Frame) -> RaftEntry:
        try:
            records = MetadataEntry.FromString(frame.payload).records
        except DecodeError:
            path = self._path(max(start.first for start in scan.chain if start.first <= frame.index))
            raise CorruptFileError(path, frame.position, f"entry {frame.index} is none") from None
        quorum = next((each.quorum for each in reversed(records) if each.HasField("quorum")), None)
        return RaftEntry(index=frame.index, term=frame.term, data=frame.payload, quorum=quorum)

    def _path(self, first: int) -> Path:
        return self._directory / segment_name(first)
