"""Reads the log of a directory and says what is in it, what is damaged, and what a repair has to do.

It changes nothing. A *torn tail* is what a crash leaves of a write that nobody was told of, and is cut; all
else is *corruption* and is raised with file and byte:

- a frame that is not good, in the newest segment, with proof behind it that it was safe once (frame.py);
  in an older segment, if an entry is missing before the next one begins (what follows the last entry of an
  older segment is repeated by the START of the next);
- a segment whose first frame is not good: it is made in one step;
- entries that do not follow each other, within a segment or between two; a term that goes back.

The *tail* are good frames behind the last seal of the newest segment. They may be durable or may only be in
the page cache, perhaps since a flush that failed: they are to be written anew before they count.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from streamkeep_common.limits import MIB
from streamkeep_common.seams import Disk
from streamkeep_coordinator.storage.errors import CorruptFileError
from streamkeep_coordinator.storage.frame import (
    BadFrameError,
    Frame,
    FrameKind,
    read_frame,
    read_frames,
    read_kind,
    was_durable,
)
from streamkeep_coordinator.storage.hard_state import NOTHING_PROMISED, HardState, unpack_hard_state
from streamkeep_coordinator.storage.segment import (
    START_BYTES,
    Start,
    first_indexes,
    live_chain,
    segment_name,
    unpack_start,
)
from streamkeep_coordinator.storage.snapshots import SnapshotId

MAX_SEGMENT_BYTES = 144 * MIB
"""No version ever wrote a longer one."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Where the newest segment was last known to be safe: the seal's position, and the state there."""

    position: int
    end: int
    last_index: int
    last_term: int
    hard_state: HardState


class LogScan:
    """One reading. Call `entries` to its end; then the attributes say how the log ends."""

    def __init__(self, disk: Disk, directory: Path) -> None:
        """Reads what the segments begin with. CorruptFileError if one has no good beginning."""
        self._disk = disk
        self._directory = directory
        self.is_first_format = False
        """A segment was written by a version that had no hard state."""
        starts = [self._read_start(first) for first in first_indexes(disk.list_directory(directory))]
        self.chain = live_chain(starts)
        self.void = [start.first for start in starts if start not in self.chain]
        self.cuts: list[tuple[int, int]] = []
        """(first index of a segment, position): the file is to end there."""
        self.sealed: Sealed | None = None
        self.tail = b""
        self.last_index = self.chain[0].base_index if self.chain else 0
        self.last_term = self.chain[0].base_term if self.chain else 0
        self.hard_state = HardState()
        self.snapshot_term = 0

    @property
    def base_index(self) -> int:
        """The log holds the entries after this one."""
        return self.chain[0].base_index if self.chain else 0

    @property
    def generation(self) -> int:
        return self.chain[-1].generation if self.chain else 0

    def path(self, first: int) -> Path:
        return self._directory / segment_name(first)

    def entries(self, snapshot: SnapshotId | None) -> Iterator[Frame]:
        """All in the log, those that the snapshot contains too. CorruptFileError if they do not fit it."""
        if snapshot is not None and self.chain and self.base_index == snapshot.index and not self.last_term:
            self.last_term = snapshot.term
        for number, start in enumerate(self.chain):
            self.chain[number] = self._join(start)
            following = self.chain[number + 1] if number + 1 < len(self.chain) else None
            for frame in self._scan(start, following):
                if snapshot is not None and frame.index == snapshot.index and frame.term != snapshot.term:
                    self._fail(
                        start, frame.position, f"entry {frame.index} is not that of {snapshot.file_name}"
                    )
                yield frame
        if self.last_term > self.hard_state.term:  # a log of format 1, or a torn write
            self.hard_state = HardState(self.last_term, 0, self.hard_state.committed_index)

    def _join(self, start: Start) -> Start:
        """The segment, known to follow the one before it."""
        expected = (self.last_index, start.base_term and self.last_term)
        if (start.base_index, start.base_term) != expected:
            missing = f"it follows entry {start.base_index}, and the log before it ends at {self.last_index}"
            self._fail(start, 0, missing)
        if start.hard_state != NOTHING_PROMISED:
            self.hard_state = start.hard_state
        return replace(start, base_term=self.last_term)

    def _scan(self, start: Start, following: Start | None) -> Iterator[Frame]:
        data = self._read(start)
        sealed = Sealed(0, 0, self.last_index, self.last_term, self.hard_state)
        end = 0
        try:
            for frame in read_frames(data):
                if following is not None and frame.is_entry and frame.index >= following.first:
                    self._end_before(start, following, frame)
                    return
                self._take(start, frame)
                end = frame.end
                if frame.is_entry:
                    yield frame
                elif frame.kind is not FrameKind.HARD_STATE:
                    position = frame.position if frame.is_seal else frame.end
                    sealed = Sealed(position, frame.end, self.last_index, self.last_term, self.hard_state)
        except BadFrameError as error:
            self._judge(start, following, data, error)
        if following is None:
            self.sealed, self.tail = sealed, data[sealed.end : end]

    def _end_before(self, start: Start, following: Start, frame: Frame) -> None:
        if following.generation == start.generation:
            self._fail(start, frame.position, f"entry {frame.index} stands in the next segment, too")
        self.cuts.append((start.first, frame.position))

    def _take(self, start: Start, frame: Frame) -> None:
        expected = self.last_index + frame.is_entry
        is_start = frame.kind is FrameKind.START
        if (
            frame.index != expected
            or frame.term < self.last_term
            or is_start != (is_start and not frame.position)
        ):
            self._fail(
                start,
                frame.position,
                f"a frame of entry {frame.index} of term {frame.term} where entry {expected} is expected, "
                f"after term {self.last_term}",
            )
        if frame.kind is FrameKind.HARD_STATE:
            self.hard_state = self._unpack_hard_state(start, frame)
        self.last_index, self.last_term = frame.index, frame.term

    def _unpack_hard_state(self, start: Start, frame: Frame) -> HardState:
        try:
            return unpack_hard_state(frame.payload)
        except struct.error:
            self._fail(start, frame.position, "a hard state that is too short")
            raise

    def _judge(self, start: Start, following: Start | None, data: bytes, error: BadFrameError) -> None:
        """Cut it as a torn tail, or raise."""
        missing = self.last_index + 1
        is_lost = (
            was_durable(data, error.position, missing) if following is None else missing < following.first
        )
        if is_lost:
            self._fail(
                start, error.position, f"what followed entry {self.last_index} was safe here, and {error}"
            )
        self.cuts.append((start.first, error.position))

    def _read(self, start: Start) -> bytes:
        path = self.path(start.first)
        if self._disk.file_size(path) > MAX_SEGMENT_BYTES:
            self._fail(start, MAX_SEGMENT_BYTES, "it is longer than a segment can be")
        return self._disk.read_file(path)

    def _read_start(self, first: int) -> Start:
        path = self.path(first)
        file = self._disk.open(path)
        try:
            data = file.read(0, START_BYTES)
            if read_kind(data, 0) is FrameKind.ENTRY:
                self.is_first_format = True
                return Start(first - 1, 0)
            start = unpack_start(read_frame(data, 0))
        except (BadFrameError, struct.error) as error:
            raise CorruptFileError(path, 0, f"its beginning is not right: {error}") from None
        finally:
            file.close()
        if start.first != first:
            raise CorruptFileError(path, 0, f"it begins with entry {start.first}")
        return start

    def _fail(self, start: Start, position: int, reason: str) -> None:
        raise CorruptFileError(self.path(start.first), position, reason)
