"""Snapshot files: the image up to an index, in chunks, so that neither side ever holds one huge message.

A snapshot is written aside, flushed and renamed, so a file with its final name is whole; it ends with a
seal, and each chunk has a checksum. Only the newest is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streamkeep_common.seams import Disk, DiskFile
from streamkeep_coordinator.storage.errors import CorruptFileError
from streamkeep_coordinator.storage.frame import BadFrameError, Frame, pack_frame, read_frame
from streamkeep_proto.v1.metadata_pb2 import MetadataSnapshot

_PREFIX, _SUFFIX, _ASIDE = "snapshot-", ".snap", ".tmp"


@dataclass(frozen=True, slots=True)
class SnapshotId:
    """Index and term of the last entry that a snapshot contains."""

    index: int
    term: int

    @property
    def file_name(self) -> str:
        return f"{_PREFIX}{self.index:020d}-{self.term:020d}{_SUFFIX}"


class SnapshotWriter:
    """Writes one snapshot. It counts when `finish` has returned; an abandoned one is overwritten."""

    def __init__(self, disk: Disk, directory: Path, snapshot_id: SnapshotId) -> None:
        self._disk = disk
        self._path = directory / snapshot_id.file_name
        self._id = snapshot_id
        self._file: DiskFile | None = None

    def add(self, chunk: bytes) -> None:
        """One serialized MetadataSnapshot."""
        self._open().append([pack_frame(self._id.index, self._id.term, 0, chunk)])

    def finish(self) -> None:
        """Make it durable under its name and remove the older ones."""
        file = self._open()
        file.append([pack_frame(self._id.index, self._id.term, self._id.index)])
        file.sync()
        file.close()
        self._disk.rename(self._aside, self._path)
        self._disk.sync_directory(self._path.parent)
        for name in _names(self._disk, self._path.parent):
            if name < self._path.name:
                self._disk.remove_file(self._path.parent / name)

    def _open(self) -> DiskFile:
        if self._file is None:
            self._disk.remove_file(self._aside)
            self._file = self._disk.open(self._aside, create=True)
        return self._file

    @property
    def _aside(self) -> Path:
        return self._path.with_name(self._path.name + _ASIDE)


def newest_snapshot(disk: Disk, directory: Path) -> SnapshotId | None:
    """The newest snapshot there is; what was never finished is removed."""
    for name in disk.list_directory(directory):
        if name.startswith(_PREFIX) and name.endswith(_ASIDE):
            disk.remove_file(directory / name)
    names = _names(disk, directory)
    if not names:
        return None
    index, term = names[-1].removeprefix(_PREFIX).removesuffix(_SUFFIX).split("-")
    return SnapshotId(int(index), int(term))


def read_snapshot(disk: Disk, directory: Path, snapshot_id: SnapshotId) -> Iterator[MetadataSnapshot]:
    """Its chunks, in order. CorruptFileError names what is damaged, at the latest at the end."""
    path = directory / snapshot_id.file_name
    data = disk.read_file(path)
    position = 0
    while not (frame := _read(path, data, position, snapshot_id)).is_seal:
        yield MetadataSnapshot.FromString(frame.payload)
        position = frame.end
    if frame.end != len(data):
        raise CorruptFileError(path, frame.end, "something follows the end of the snapshot")


def _read(path: Path, data: bytes, position: int, snapshot_id: SnapshotId) -> Frame:
    try:
        frame = read_frame(data, position)
    except BadFrameError as error:
        raise CorruptFileError(path, position, str(error)) from None
    if (frame.index, frame.term) != (snapshot_id.index, snapshot_id.term):
        raise CorruptFileError(path, position, "a chunk of another snapshot")
    return frame


def _names(disk: Disk, directory: Path) -> list[str]:
    names = disk.list_directory(directory)
    return [name for name in names if name.startswith(_PREFIX) and name.endswith(_SUFFIX)]
