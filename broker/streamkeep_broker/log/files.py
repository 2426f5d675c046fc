"""Names of a partition log's files, and the provider of open ones. Knows nothing of what is in them.

00000000000000000100.log            frames; parses as LogSegment
00000000000000000100.index          where frames stand, once the segment is sealed (see `segment_files`)
00000000000000000100.index.open     the same, as long as it is not
00000000000000000100.timeindex      which timestamps stand where
00000000000000000100.snapshot       producer states as of that offset
00000000000000000100.start          says, by being there, that the log may begin at that offset
leader-epochs                       where each leader epoch begins
begin-anew                          an order to drop all of them (see `begin_anew`)
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from streamkeep_common.seams import DiskFile

LOG_SUFFIX = ".log"
INDEX_SUFFIX = ".index"
OPEN_INDEX_SUFFIX = ".index.open"
TIME_INDEX_SUFFIX = ".timeindex"
SNAPSHOT_SUFFIX = ".snapshot"
START_SUFFIX = ".start"
LEADER_EPOCHS_NAME = "leader-epochs"

SEGMENT_SUFFIXES = (
    LOG_SUFFIX,
    INDEX_SUFFIX,
    OPEN_INDEX_SUFFIX,
    TIME_INDEX_SUFFIX,
    SNAPSHOT_SUFFIX,
    START_SUFFIX,
)
"""Of all files that belong to one segment."""

BEGIN_ANEW_NAME = "begin-anew"

OFFSET_DIGITS = 20

OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT)
"""Errors that say that a disk is full, or this user's share of it; they end by themselves."""


class Files(Protocol):
    """Opens files when they are used, within a bound on descriptors. Usable on any thread."""

    def open(self, path: Path, *, create: bool = False) -> DiskFile:
        """A file that opens at its first use; with `create` it is made then if it is missing."""
        ...


def offset_path(directory: Path, offset: int, suffix: str) -> Path:
    """The file of that kind that begins at `offset`."""
    return directory / f"{offset:0{OFFSET_DIGITS}d}{suffix}"


def offset_of(name: str, suffix: str) -> int | None:
    """The offset in a file's name, or None if it is not a file of that kind."""
    digits = name.removesuffix(suffix)
    if not name.endswith(suffix) or len(digits) != OFFSET_DIGITS or not digits.isascii():
        return None
    return int(digits) if digits.isdecimal() else None


def write_unsynced(files: Files, path: Path, data: bytes, unsynced: list[DiskFile]) -> None:
    """Write a small file anew and add it to those to be synced, if it could be made.

    Even if that fails with OSError: for content that carries a checksum, because a crash may tear it.
    """
    file = files.open(path, create=True)
    file.size()  # makes it: what does not exist for want of room cannot be synced
    unsynced.append(file)
    file.truncate(0)
    file.append([data])


def leftover_names(names: Sequence[str], bases: Sequence[int], log_end_offset: int) -> list[str]:
    """Files of segments that are gone, snapshots that speak of what is gone, unfinished writes.

    Of snapshots that stand at no segment's base only the one at the log end is needed, left by a clean stop.
    """
    return [name for name in names if _is_leftover(name, bases, log_end_offset)]


def _is_leftover(name: str, bases: Sequence[int], log_end_offset: int) -> bool:
    snapshot = offset_of(name, SNAPSHOT_SUFFIX)
    if snapshot is not None:
        return snapshot != log_end_offset and snapshot not in bases
    indexes = (INDEX_SUFFIX, OPEN_INDEX_SUFFIX, TIME_INDEX_SUFFIX)
    offsets = [offset_of(name, suffix) for suffix in indexes]
    return name.endswith(".tmp") or any(offset is not None and offset not in bases for offset in offsets)
