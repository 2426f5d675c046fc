"""Snapshot files: the image up to an index, in chunks, so that neither side ever holds one huge message.

A snapshot is written aside, flushed and renamed, so a file with its final name is whole; each chunk has a
checksum, and it ends with a seal. Only the newest is kept. One that another coordinator has sent keeps a name
of its own: it counts from the moment when the log is made to follow it (storage.py), and not before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from streamkeep_common.seams import Disk, DiskFile
from streamkeep_coordinator.storage.errors import CorruptFileError
from streamkeep_coordinator.storage.frame import (
    HEADER_BYTES,
    BadFrameError,
    Frame,
    FrameKind,
    pack_frame,
    read_frame,
    read_size,
)
from streamkeep_proto.v1.metadata_pb2 import MetadataSnapshot

_NAME = re.compile(r"snapshot-(\d{20})-(\d{20})\.(snap|received)")
_ASIDE = ".tmp"


@dataclass(frozen=True, slots=True)
class SnapshotId:
    """Index and term of the last entry that a snapshot contains."""

    index: int
    term: int

    @property
    def file_name(self) -> str:
        return f"{self._stem}.snap"

    @property
    def received_name(self) -> str:
        """Of one that another coordinator has sent."""
        return f"{self._stem}.received"

    @property
    def _stem(self) -> str:
        return f"snapshot-{self.index:020d}-{self.term:020d}"


class SnapshotWriter:
    """Writes one snapshot. It counts when `finish` has returned; an abandoned one is overwritten."""

    def __init__(self, disk: Disk, directory: Path, snapshot_id: SnapshotId) -> None:
        self._disk = disk
        self._directory = directory
        self._id = snapshot_id
        self._file = _ChunkFile(disk, directory / snapshot_id.file_name, snapshot_id)

    def add(self, chunk: bytes) -> None:
        """One serialized MetadataSnapshot."""
        self._file.add(chunk)

    def finish(self) -> None:
        """Make it durable under its name and remove the older ones."""
        self._file.finish()
        remove_older(self._disk, self._directory, self._id)


class ReceivedSnapshot:
    """A snapshot on its way in. `Storage.install` makes it count."""

    def __init__(self, disk: Disk, directory: Path, snapshot_id: SnapshotId) -> None:
        self._file = _ChunkFile(disk, directory / snapshot_id.received_name, snapshot_id)
        self.id = snapshot_id

    def add(self, chunk: bytes) -> None:
        """One serialized MetadataSnapshot, as it was sent."""
        self._file.add(chunk)

    def finish(self) -> None:
        """All has arrived: make it durable."""
        self._file.finish()

    def discard(self) -> None:
        """It did not arrive whole, or is not wanted. A finished one goes with the next snapshot or start.

        By then it is certain that it is not the one that counts.
        """
        self._file.discard()


class _ChunkFile:
    """A file of chunks and a seal, written aside and renamed when it is whole."""

    def __init__(self, disk: Disk, path: Path, snapshot_id: SnapshotId) -> None:
        self._disk = disk
        self._id = snapshot_id
        self._file: DiskFile | None = None
        self._path = path
        self._aside = path.with_name(path.name + _ASIDE)

    def add(self, chunk: bytes) -> None:
        self._open().append([pack_frame(self._id.index, self._id.term, 0, chunk)])

    def finish(self) -> None:
        file = self._open()
        file.append([pack_frame(self._id.index, self._id.term, self._id.index)])
        file.sync()
        self._close()
        self._disk.rename(self._aside, self._path)
        self._disk.sync_directory(self._path.parent)

    def discard(self) -> None:
        self._close()
        self._disk.remove_file(self._aside)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> DiskFile:
        if self._file is None:
            self._disk.remove_file(self._aside)
            self._file = self._disk.open(self._aside, create=True)
        return self._file


def newest_snapshot(disk: Disk, directory: Path) -> SnapshotId | None:
    """The newest that this coordinator took itself."""
    taken = (
        snapshot_id for snapshot_id, name in _snapshots(disk, directory) if name == snapshot_id.file_name
    )
    return max(taken, key=lambda snapshot_id: snapshot_id.index, default=None)


def remove_older(disk: Disk, directory: Path, snapshot_id: SnapshotId) -> None:
    """Remove the snapshots that this one takes the place of."""
    for older, name in _snapshots(disk, directory):
        if older.index < snapshot_id.index:
            disk.remove_file(directory / name)


def remove_others(disk: Disk, directory: Path, counts: Path | None) -> None:
    """Remove all snapshots but the one that counts: unfinished ones, too."""
    for name in disk.list_directory(directory):
        if name.startswith("snapshot-") and directory / name != counts:
            disk.remove_file(directory / name)


def read_snapshot(disk: Disk, path: Path, snapshot_id: SnapshotId) -> Iterator[MetadataSnapshot]:
    """Its chunks, read one by one. CorruptFileError names what is damaged, at the latest at the end."""
    file = disk.open(path)
    try:
        position = 0
        while not (frame := _read(file, position, snapshot_id)).is_seal:
            yield _parse(path, position, frame)
            position += frame.end
        if position + frame.end != file.size():
            raise CorruptFileError(path, position + frame.end, "something follows the end of the snapshot")
    finally:
        file.close()


def _read(file: DiskFile, position: int, snapshot_id: SnapshotId) -> Frame:
    """The frame there, as if the file began with it."""
    try:
        size = read_size(file.read(position, HEADER_BYTES))
        frame = read_frame(file.read(position, size), 0)
    except BadFrameError as error:
        raise CorruptFileError(file.path, position, str(error)) from None
    is_chunk = frame.kind is FrameKind.ENTRY and (frame.index, frame.term) == (
        snapshot_id.index,
        snapshot_id.term,
    )
    if not is_chunk:
        raise CorruptFileError(file.path, position, "a chunk of another snapshot")
    return frame


def _parse(path: Path, position: int, frame: Frame) -> MetadataSnapshot:
    try:
        return MetadataSnapshot.FromString(frame.payload)
    except DecodeError:
        raise CorruptFileError(path, position, "a chunk that is none") from None


def _snapshots(disk: Disk, directory: Path) -> list[tuple[SnapshotId, str]]:
    """All whole ones, with their names."""
    matches = (_NAME.fullmatch(name) for name in disk.list_directory(directory))
    return [(SnapshotId(int(match[1]), int(match[2])), match[0]) for match in matches if match]
