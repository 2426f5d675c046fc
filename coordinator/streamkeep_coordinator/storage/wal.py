"""The write-ahead log: entries and hard states in segment files.

Owns the files `log-*.wal` and the order of the steps that change them; what they hold is in frame.py and
segment.py, what counts as damage in log_scan.py. One thread at a time calls it. A failed write or flush
leaves it unusable: what is on the disk is known only after a new start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from streamkeep_common.limits import MIB
from streamkeep_common.seams import Disk, DiskFile
from streamkeep_coordinator.storage.frame import FrameKind, pack_frame, read_frames
from streamkeep_coordinator.storage.hard_state import HardState
from streamkeep_coordinator.storage.log_scan import LogScan, Sealed
from streamkeep_coordinator.storage.marks import Mark
from streamkeep_coordinator.storage.segment import Start, segment_name
from streamkeep_coordinator.storage.snapshots import SnapshotId
from streamkeep_proto.v1.raft_pb2 import RaftEntry

SEGMENT_BYTES = 16 * MIB
MAX_FLUSH_BYTES = 32 * MIB
"""A write that is longer is flushed in parts of whole entries; a segment grows by one part at most."""


class Wal:
    """The log in one directory. `restore` it first from a scan that has been read to its end."""

    def __init__(self, disk: Disk, directory: Path) -> None:
        self._disk = disk
        self._directory = directory
        self._chain: list[Start] = []
        self._file: DiskFile | None = None
        self.last_index = 0
        self.last_term = 0
        self.hard_state = HardState()

    @property
    def generation(self) -> int:
        return self._chain[-1].generation if self._chain else 0

    @property
    def base_index(self) -> int:
        """The log holds the entries after this one."""
        return self._chain[0].base_index if self._chain else 0

    def mark(self) -> Mark:
        """How far the log is durable."""
        return Mark(self.last_index, self.last_term, self.generation, self.hard_state)

    def restore(self, scan: LogScan) -> None:
        """Go on where the log ends: interrupted changes finished, torn tails cut, all of it made safe."""
        self._chain = scan.chain
        self.last_index, self.last_term, self.hard_state = scan.last_index, scan.last_term, scan.hard_state
        self._remove(scan.void)
        for first, position in scan.cuts:
            self._cut(first, position)
        if scan.sealed is not None:
            self._make_safe(scan.sealed, scan.tail)

    def write(self, hard_state: HardState | None, entries: Sequence[RaftEntry]) -> None:
        """Make both durable, the entries in order and without gaps: one flush."""
        frames: list[bytes] = []
        size = 0
        index, term = self.last_index, self.last_term
        for entry in entries:
            assert entry.index == index + 1, f"entry {entry.index} after {index}"
            assert entry.term >= term, f"entry {index + 1} of term {entry.term} after term {term}"
            if size >= MAX_FLUSH_BYTES:
                self._flush(frames, index, term)
                frames, size = [], 0
            index, term = entry.index, entry.term
            frames.append(pack_frame(index, term, self.last_index, entry.data))
            size += len(entry.data)
        if hard_state is not None:
            frames.append(
                pack_frame(index, term, self.last_index, hard_state.pack(), kind=FrameKind.HARD_STATE)
            )
        if frames:
            self._flush(frames, index, term)
        self.hard_state = hard_state or self.hard_state

    def truncate(self, index: int) -> None:
        """Take back that entry and all after it, durably.

        The segment that goes on from there is made first, and holds the hard state, which may have stood
        behind what is cut off.
        """
        if index > self.last_index:
            return
        holder = max(number for number, start in enumerate(self._chain) if start.first <= index)
        old, later = self._chain[holder], self._chain[holder + 1 :]
        position, term = self._find(old, index)
        start = Start(index - 1, term, self.hard_state, self.generation + 1)
        is_replaced = old.first == index
        if is_replaced:
            start = replace(start, replaces=old.replaces)
        del self._chain[holder + (not is_replaced) :]
        self._begin(start)
        self._remove([each.first for each in later])
        if not is_replaced:
            self._cut(old.first, position)
        self.last_index, self.last_term = index - 1, term

    def begin_after(self, snapshot: SnapshotId) -> None:
        """Go on after a durable snapshot that takes the place of all there is."""
        start = Start(snapshot.index, snapshot.term, self.hard_state, self.generation + 1, replaces=True)
        replaced = [old.first for old in self._chain if old.first != start.first]
        self._chain.clear()
        self._begin(start)
        self.last_index, self.last_term = snapshot.index, snapshot.term
        self._remove(replaced)

    def drop_before(self, index: int) -> None:
        """Remove the segments that hold only entries below that index.

        One by one, each durably: a power cut must not bring back an older one without the newer.
        """
        while len(self._chain) > 1 and self._chain[1].first <= index:
            self._remove([self._chain.pop(0).first])

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _flush(self, frames: list[bytes], last_index: int, last_term: int) -> None:
        file = self._writable()
        file.append(frames)
        file.sync()
        self.last_index, self.last_term = last_index, last_term
        file.append([self._seal()])

    def _seal(self) -> bytes:
        return pack_frame(self.last_index, self.last_term, self.last_index)

    def _writable(self) -> DiskFile:
        if not self._chain:
            self._begin(Start(0, 0))
        if self._file is None:
            self._file = self._disk.open(self._path(self._chain[-1].first))
        if self._file.size() >= SEGMENT_BYTES:
            self._roll()
        return self._file

    def _roll(self) -> None:
        last = self._chain[-1]
        if last.first <= self.last_index:
            self._begin(Start(self.last_index, self.last_term, self.hard_state, self.generation))
        else:  # it holds nothing but hard states, of which the last is enough
            self._chain.pop()
            self._begin(replace(last, hard_state=self.hard_state))

    def _begin(self, start: Start, frames: bytes = b"") -> None:
        """A new segment, there as a whole or not at all; it takes the place of one with the same name."""
        self.close()
        path = self._path(start.first)
        self._disk.write_file(path, start.pack() + frames)
        self._chain.append(start)
        self._file = self._disk.open(path)

    def _make_safe(self, sealed: Sealed, tail: bytes) -> None:
        """Whatever of the newest segment may not be on the disk is written anew."""
        old = self._chain[-1]
        if not tail:
            self._cut(old.first, sealed.position)
            file = self._writable()
            file.append([self._seal()])
            file.sync()
            return
        start = Start(sealed.last_index, sealed.last_term, sealed.hard_state, old.generation + 1)
        if start.first == old.first:
            self._chain.pop()
            self._begin(replace(start, replaces=old.replaces), tail)
        else:
            self._begin(start, tail)
            self._cut(old.first, sealed.position)
        self._writable().append([self._seal()])

    def _find(self, start: Start, index: int) -> tuple[int, int]:
        """Where that entry stands in the segment, and the term of the one before it."""
        term = start.base_term
        for frame in read_frames(self._disk.read_file(self._path(start.first))):
            if frame.is_entry and frame.index == index:
                return frame.position, term
            term = frame.term
        raise AssertionError(f"entry {index} is not in the segment that begins with {start.first}")

    def _remove(self, firsts: Sequence[int]) -> None:
        for first in firsts:
            self._disk.remove_file(self._path(first))
            self._disk.sync_directory(self._directory)

    def _cut(self, first: int, position: int) -> None:
        file = self._disk.open(self._path(first))
        file.truncate(position)
        file.sync()
        file.close()

    def _path(self, first: int) -> Path:
        return self._directory / segment_name(first)
