"""How far the log had come, in a file of its own: a log that was cut off cleanly is not one that ended there.

After each flush of the log a mark is appended, which is not flushed: a power cut may take the newest ones,
and an older one asks for less. The file is made with a mark in it before the directory belongs to a cluster,
and replaced in one step at every start and whenever it grows long, so that it is never without any mark.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from streamkeep_common.limits import MIB
from streamkeep_common.seams import Disk, DiskFile
from streamkeep_coordinator.storage.errors import CorruptFileError
from streamkeep_coordinator.storage.frame import (
    HEADER_BYTES,
    BadFrameError,
    FrameKind,
    pack_frame,
    read_frame,
)
from streamkeep_coordinator.storage.hard_state import (
    HARD_STATE_BYTES,
    NOTHING_PROMISED,
    HardState,
    unpack_hard_state,
)

MARKS = "marks"
MAX_MARKS_BYTES = MIB
MARK_BYTES = HEADER_BYTES + HARD_STATE_BYTES


@dataclass(frozen=True, slots=True)
class Mark:
    """All this was durable when it was written; the log is that of the generation, up to the entry."""

    last_index: int = 0
    last_term: int = 0
    generation: int = 0
    hard_state: HardState = NOTHING_PROMISED

    def pack(self) -> bytes:
        """The frame."""
        payload = self.hard_state.pack()
        return pack_frame(self.last_index, self.last_term, self.generation, payload, kind=FrameKind.MARK)


class Marks:
    """The marks of one directory. Used by one thread at a time."""

    def __init__(self, disk: Disk, directory: Path) -> None:
        self._disk = disk
        self._file: DiskFile | None = None
        self.path = directory / MARKS

    def exist(self) -> bool:
        return self._disk.exists(self.path)

    def newest(self) -> Mark:
        """The newest that can be read. CorruptFileError if there is none."""
        if not self.exist():
            raise CorruptFileError(self.path, 0, "it is missing")
        size = self._disk.file_size(self.path)
        if size > MAX_MARKS_BYTES + MARK_BYTES:
            raise CorruptFileError(self.path, MAX_MARKS_BYTES, "it is longer than it can be")
        return newest_mark(self.path, self._disk.read_file(self.path))

    def append(self, mark: Mark) -> None:
        """Note it, without waiting for the disk."""
        if self._file is None:
            self._file = self._disk.open(self.path)
        if self._file.size() >= MAX_MARKS_BYTES:
            self.replace(mark)
        else:
            self._file.append([mark.pack()])

    def replace(self, mark: Mark) -> None:
        """Make it the only one, durably."""
        self.close()
        self._disk.write_file(self.path, mark.pack())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def newest_mark(path: Path, data: bytes) -> Mark:
    """The last good one in the file's bytes. CorruptFileError if there is none."""
    for position in reversed(range(0, len(data) - MARK_BYTES + 1, MARK_BYTES)):
        try:
            frame = read_frame(data, position)
        except BadFrameError:
            continue  # torn by a crash, or damaged; the one before it asks for less
        if frame.kind is FrameKind.MARK and len(frame.payload) == HARD_STATE_BYTES:
            return Mark(frame.index, frame.term, frame.durable, unpack_hard_state(frame.payload))
    raise CorruptFileError(path, 0, "no mark in it can be read")
