"""Reads a data directory for people: every frame of every file, and where they are damaged.

It changes nothing and takes no lock, so it may look at the directory of a coordinator that runs; then the end
of the newest segment may be a write under way, and files may go while they are read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from google.protobuf.message import DecodeError

from streamkeep_common.limits import GIB
from streamkeep_common.seams import Disk
from streamkeep_coordinator.storage.directory import IDENTITY
from streamkeep_coordinator.storage.frame import (
    BadFrameError,
    Frame,
    FrameKind,
    find_frame,
    read_frame,
    was_durable,
)
from streamkeep_coordinator.storage.hard_state import HardState, unpack_hard_state
from streamkeep_coordinator.storage.identity import (
    BadIdentityError,
    Identity,
    UnknownFormatError,
    unpack_identity,
)
from streamkeep_coordinator.storage.marks import MARK_BYTES, MARKS
from streamkeep_coordinator.storage.segment import first_indexes, segment_name, unpack_start
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, MetadataSnapshot

MAX_FILE_BYTES = GIB
"""Of a longer file only the size is told: nothing of a coordinator's comes near it."""


class Kind(StrEnum):
    """What stands at a place."""

    IDENTITY = "identity"
    START = "start"
    HARD_STATE = "hard_state"
    ENTRY = "entry"
    SEAL = "seal"
    MARK = "mark"
    SNAPSHOT = "snapshot"
    DAMAGE = "damage"
    TORN = "torn"  # an unfinished write at the end, of which nobody was told


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing in a file. `index` and `term` as in frame.py; what does not apply is absent."""

    kind: Kind
    file: str
    byte: int
    size: int = 0
    index: int = 0
    term: int = 0
    generation: int = 0
    problem: str = ""
    identity: Identity | None = None
    hard_state: HardState | None = None
    entry: MetadataEntry | None = None
    snapshot: MetadataSnapshot | None = None


def inspect(disk: Disk, directory: Path) -> Iterator[Item]:
    """All there is, file by file in the order of their names. OSError if the directory cannot be read."""
    names = disk.list_directory(directory)
    segments = [segment_name(first) for first in first_indexes(names)]
    for name in names:
        data = _read(disk, directory / name)
        if data is None:
            continue
        if isinstance(data, Item):
            yield data
        elif name == IDENTITY:
            yield _identity(name, data)
        elif name == MARKS:
            yield from _marks(name, data)
        elif name in segments:
            yield from _log(name, data, is_newest=name == segments[-1])
        else:
            yield from _snapshot(name, data)


def _read(disk: Disk, path: Path) -> bytes | Item | None:
    """Its bytes; None if it is no file of the coordinator's, or was removed meanwhile."""
    if path.name not in (IDENTITY, MARKS) and path.suffix not in (".wal", ".snap", ".received"):
        return None
    try:
        size = disk.file_size(path)
        if size > MAX_FILE_BYTES:
            return Item(kind=Kind.DAMAGE, file=path.name, byte=0, size=size, problem="it is far too long")
        return disk.read_file(path)
    except FileNotFoundError:
        return None


def _identity(name: str, data: bytes) -> Item:
    try:
        return Item(kind=Kind.IDENTITY, file=name, byte=0, size=len(data), identity=unpack_identity(data))
    except (BadIdentityError, UnknownFormatError) as error:
        return _damage(name, 0, len(data), str(error))


def _marks(name: str, data: bytes) -> Iterator[Item]:
    for position in range(0, len(data), MARK_BYTES):
        try:
            frame = read_frame(data, position)
            state = unpack_hard_state(frame.payload)
        except (BadFrameError, struct.error) as error:
            yield _damage(name, position, MARK_BYTES, str(error))
            continue
        yield _item(name, frame, Kind.MARK, hard_state=state, generation=frame.durable)


def _log(name: str, data: bytes, *, is_newest: bool) -> Iterator[Item]:
    position = index = 0
    while position < len(data):
        try:
            frame = read_frame(data, position)
            item = _log_item(name, frame)
        except BadFrameError as error:
            item = _bad(name, data, position, str(error))
            if is_newest and position and not was_durable(data, position, index + 1):
                item = replace(item, kind=Kind.TORN)
        except (DecodeError, struct.error):
            item = _damage(name, position, frame.end - position, "its payload cannot be read")
        yield item
        position, index = item.byte + item.size, item.index or index


def _log_item(name: str, frame: Frame) -> Item:
    if frame.kind is FrameKind.START:
        start = unpack_start(frame)
        return _item(name, frame, Kind.START, hard_state=start.hard_state, generation=start.generation)
    if frame.kind is FrameKind.HARD_STATE:
        return _item(name, frame, Kind.HARD_STATE, hard_state=unpack_hard_state(frame.payload))
    if frame.is_seal:
        return _item(name, frame, Kind.SEAL)
    if not frame.is_entry:
        return _damage(name, frame.position, frame.end - frame.position, "a mark within the log")
    return _item(name, frame, Kind.ENTRY, entry=MetadataEntry.FromString(frame.payload))


def _bad(name: str, data: bytes, position: int, reason: str) -> Item:
    """Up to the next good frame."""
    following = find_frame(data, position + 1)
    return _damage(name, position, (len(data) if following is None else following) - position, reason)


def _snapshot(name: str, data: bytes) -> Iterator[Item]:
    position, is_whole = 0, False
    while position < len(data):
        try:
            frame = read_frame(data, position)
            chunk = MetadataSnapshot.FromString(frame.payload)
        except (BadFrameError, DecodeError) as error:
            yield _damage(name, position, len(data) - position, str(error))
            return
        is_whole = frame.is_seal
        yield _item(name, frame, Kind.SEAL) if is_whole else _item(name, frame, Kind.SNAPSHOT, snapshot=chunk)
        position = frame.end
    if not is_whole:
        yield _damage(name, position, 0, "it has no end")


def _item(
    name: str,
    frame: Frame,
    kind: Kind,
    *,
    generation: int = 0,
    hard_state: HardState | None = None,
    entry: MetadataEntry | None = None,
    snapshot: MetadataSnapshot | None = None,
) -> Item:
    return Item(
        kind=kind,
        file=name,
        byte=frame.position,
        size=frame.end - frame.position,
        index=frame.index,
        term=frame.term,
        generation=generation,
        hard_state=hard_state,
        entry=entry,
        snapshot=snapshot,
    )


def _damage(name: str, position: int, size: int, problem: str) -> Item:
    return Item(kind=Kind.DAMAGE, file=name, byte=position, size=size, problem=problem)
