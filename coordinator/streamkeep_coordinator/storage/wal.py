"""The write-ahead log: entries in segment files, each named by the index of its first entry.

`append` returns when its entries are durable. One thread at a time calls it; the event loop only recovers.
A failed write or flush leaves the log unusable: what is on the disk is known only after a new start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from streamkeep_common.limits import MIB
from streamkeep_common.seams import Disk, DiskFile
from streamkeep_coordinator.storage.errors import CorruptFileError
from streamkeep_coordinator.storage.frame import BadFrameError, Frame, pack_frame, read_frame, was_durable
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry

SEGMENT_BYTES = 16 * MIB
MAX_APPEND_BYTES = 64 * MIB
"""Of one call; a segment is at most this much longer than SEGMENT_BYTES."""

_PREFIX, _SUFFIX = "log-", ".wal"


class Wal:
    """The log in one directory. Call `recover` first, and to its end."""

    def __init__(self, disk: Disk, directory: Path) -> None:
        self._disk = disk
        self._directory = directory
        self._segments: list[int] = []
        self._file: DiskFile | None = None
        self.last_index = 0
        self.last_term = 0

    def recover(self, after_index: int) -> Iterator[MetadataEntry]:
        """Entries after that index (a snapshot's; 0 = none), the torn tail cut off.

        CorruptFileError names the file and byte of anything else that is wrong, a missing entry included.
        """
        self._segments = [_first_index(name) for name in self._names()]
        self.last_index = self._segments[0] - 1 if self._segments else 0
        if self._segments and self._segments[0] > after_index + 1:
            missing = f"entries {after_index + 1} to {self.last_index} are missing"
            raise CorruptFileError(self._path(self._segments[0]), 0, missing)
        for first in self._segments:
            for frame in self._scan(first):
                if not frame.is_seal and frame.index > after_index:
                    yield MetadataEntry.FromString(frame.payload)
        if self.last_index < after_index:
            last = self._segments[-1] if self._segments else 1
            ends = f"the log ends at entry {self.last_index}, and a snapshot contains entry {after_index}"
            raise CorruptFileError(self._path(last), 0, ends)

    def append(self, entries: Sequence[tuple[int, int, bytes]]) -> None:
        """Make entries (index, term, serialized) durable, in order and without gaps. OSError is final."""
        assert entries[0][0] == self.last_index + 1, f"entry {entries[0][0]} after {self.last_index}"
        file = self._writable()
        file.append([pack_frame(index, term, self.last_index, data) for index, term, data in entries])
        file.sync()
        self.last_index, self.last_term = entries[-1][0], entries[-1][1]
        file.append([pack_frame(self.last_index, self.last_term, self.last_index)])

    def drop_before(self, index: int) -> None:
        """Remove the segments that hold only entries below that index.

        One by one, each durably: a power cut must not bring back an older one without the newer.
        """
        while len(self._segments) > 1 and self._segments[1] <= index:
            self._disk.remove_file(self._path(self._segments.pop(0)))
            self._disk.sync_directory(self._directory)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _writable(self) -> DiskFile:
        if self._file is not None and self._file.size() >= SEGMENT_BYTES:
            self.close()
            self._segments.append(self.last_index + 1)
        if self._file is None:
            if not self._segments:
                self._segments.append(self.last_index + 1)
            self._file = self._disk.open(self._path(self._segments[-1]), create=True)
            self._disk.sync_directory(self._directory)
        return self._file

    def _scan(self, first: int) -> Iterator[Frame]:
        path = self._path(first)
        data = self._read(path)
        if first != self.last_index + 1:
            raise CorruptFileError(path, 0, f"entries {self.last_index + 1} to {first - 1} are missing")
        position = 0
        while position < len(data):
            try:
                frame = read_frame(data, position)
            except BadFrameError as error:
                self._cut_torn_tail(first, data, position, str(error))
                return
            self._check_order(path, frame)
            yield frame
            position = frame.end

    def _read(self, path: Path) -> bytes:
        if self._disk.file_size(path) > SEGMENT_BYTES + 2 * MAX_APPEND_BYTES:
            raise CorruptFileError(path, SEGMENT_BYTES, "it is longer than a segment can be")
        return self._disk.read_file(path)

    def _check_order(self, path: Path, frame: Frame) -> None:
        expected = self.last_index + (not frame.is_seal)
        if frame.index != expected or frame.term < self.last_term:
            raise CorruptFileError(
                path,
                frame.position,
                f"entry {frame.index} of term {frame.term} where entry {expected} is expected, "
                f"after term {self.last_term}",
            )
        self.last_index, self.last_term = frame.index, frame.term

    def _cut_torn_tail(self, first: int, data: bytes, position: int, reason: str) -> None:
        """Nothing is lost with it: an entry that was never durable, or the seal at the end of a segment."""
        missing = self.last_index + 1
        following = self._segments[self._segments.index(first) + 1 :]
        is_lost = missing < following[0] if following else was_durable(data, position, missing)
        path = self._path(first)
        if is_lost:
            raise CorruptFileError(path, position, f"entry {missing} was safe here, and {reason}")
        file = self._disk.open(path)
        file.truncate(position)
        file.sync()
        file.close()

    def _names(self) -> list[str]:
        names = self._disk.list_directory(self._directory)
        return [name for name in names if name.startswith(_PREFIX) and name.endswith(_SUFFIX)]

    def _path(self, first_index: int) -> Path:
        return self._directory / f"{_PREFIX}{first_index:020d}{_SUFFIX}"


def _first_index(name: str) -> int:
    return int(name.removeprefix(_PREFIX).removesuffix(_SUFFIX))
