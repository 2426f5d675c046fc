"""Snapshot files: the image up to an index, in chunks, so that neither side ever holds one huge message.

A snapshot is written aside, flushed and renamed, so a file with its final name is whole; each chunk has a
checksum, and it ends with a seal. Only the newest is kept. One that another coordinator sends is written aside
under a name of its own, durably, and renamed once the log has been made to follow it (storage.py).
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

_NAME = re.compile(r"snapshot-(\d{20})-(\d{20})\.snap")
_ASIDE, _RECEIVED = ".tmp", ".received"


@dataclass(frozen=True, slots=True)
class SnapshotId:
    """Index and term of the last entry that a snapshot contains."""

    index: int
    term: int

    @property
    def file_name(self) -> str:
        return f"snapshot-{self.index:020d}-{self.term:020d}.snap"

    @property
    def received_name(self) -> str:
        return self.file_name + _RECEIVED


class SnapshotWriter:
    """Writes one snapshot. It counts when `finish` has returned; an abandoned one is overwritten."""

    def __init__(self, disk: Disk, directory: Path, snapshot_id: SnapshotId) -> None:
        self._disk = disk
        self._directory = directory
        self._id = snapshot_id
        self._file = _ChunkFile(disk, directory / (snapshot_id.file_name + _ASIDE), snapshot_id)

    def add(self, chunk: bytes) -> None:
        """One serialized MetadataSnapshot."""
        self._file.add(chunk)

    def finish(self) -> None:
        """Make it durable under its name and remove the older ones."""
        self._file.finish()
        self._disk.rename(self._file.path, self._directory / self._id.file_name)
        self._disk.sync_directory(self._directory)
        remove_older(self._disk, self._directory, self._id)


class ReceivedSnapshot:
    """A snapshot on its way in. `Storage.install` makes it count; until then it stands aside."""

    def __init__(self, disk: Disk, directory: Path, snapshot_id: SnapshotId) -> None:
        self._disk = disk
        self._directory = directory
        self._file = _ChunkFile(disk, directory / snapshot_id.received_name, snapshot_id)
        self.id = snapshot_id

    def add(self, chunk: bytes) -> None:
        """One serialized MetadataSnapshot, as it was sent."""
        self._file.add(chunk)

    def finish(self) -> None:
        """All has arrived: make it durable, aside."""
        self._file.finish()
        self._disk.sync_directory(self._directory)

    def discard(self) -> None:
        """It is not wanted, or did not arrive whole."""
        self._file.close()
        self._disk.remove_file(self._file.path)


class _ChunkFile:
    """A file of chunks and a seal, made anew."""

    def __init__(self, disk: Disk, path: Path, snapshot_id: SnapshotId) -> None:
        self._disk = disk
        self._id = snapshot_id
        self._file: DiskFile | None = None
        self.path = path

    def add(self, chunk: bytes) -> None:
        self._open().append([pack_frame(self._id.index, self._id.term, 0, chunk)])

    def finish(self) -> None:
        file = self._open()
        file.append([pack_frame(self._id.index, self._id.term, self._id.index)])
        file.sync()
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> DiskFile:
        if self._file is None:
            self._disk.remove_file(self.path)
            self._file = self._disk.open(self.path, create=True)
        return self._file


def newest_snapshot(disk: Disk, directory: Path) -> SnapshotId | None:
    """The newest snapshot there is."""
    return max(_snapshots(disk, directory), key=lambda found: found.index, default=None)


def accept_received(disk: Disk, directory: Path, snapshot_id: SnapshotId) -> bool:
    """Give a received snapshot its name, durably. False if there is none of that id."""
    if not disk.exists(directory / snapshot_id.received_name):
        return False
    disk.rename(directory / snapshot_id.received_name, directory / snapshot_id.file_name)
    disk.sync_directory(directory)
    return True


def remove_older(disk: Disk, directory: Path, snapshot_id: SnapshotId) -> None:
    """Remove the snapshots that this one takes the place of."""
    for older in _snapshots(disk, directory):
        if older.index < snapshot_id.index:
            disk.remove_file(directory / older.file_name)


def remove_unfinished(disk: Disk, directory: Path) -> None:
    """Remove what was never finished, or was received and never installed."""
    for name in disk.list_directory(directory):
        if name.startswith("snapshot-") and name.endswith((_ASIDE, _RECEIVED)):
            disk.remove_file(directory / name)


def read_snapshot(disk: Disk, directory: Path, snapshot_id: SnapshotId) -> Iterator[MetadataSnapshot]:
    """Its chunks, in order, read one by one. CorruptFileError names what is damaged, at the latest at the end."""
    path = directory / snapshot_id.file_name
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


def _snapshots(disk: Disk, directory: Path) -> list[SnapshotId]:
    matches = (_NAME.fullmatch(name) for name in disk.list_directory(directory))
    return [SnapshotId(int(match[1]), int(match[2])) for match in matches if match]
