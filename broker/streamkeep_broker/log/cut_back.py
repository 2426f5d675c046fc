"""Cuts the end of a log off, whole frames and whole segments, whenever the power goes. Blocking.

A crash at any moment leaves what a crash leaves of unflushed writes, and recovery, which follows, treats it
so. For that two things must be durable before a frame goes: the recovery point and the high watermark are
lowered to the cut, and the seals above it are removed. Recovery takes whatever is below the recovery point or
under a seal as safe, and would call its absence corruption.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streamkeep_broker.log.files import (
    INDEX_SUFFIX,
    OPEN_INDEX_SUFFIX,
    SEGMENT_SUFFIXES,
    TIME_INDEX_SUFFIX,
    offset_path,
)
from streamkeep_broker.log.frame_walk import BadFrameError, FrameWalk
from streamkeep_broker.log.read import corrupt, segment_number
from streamkeep_broker.log.segment import Segment
from streamkeep_broker.log.segment_files import is_sealed, load_index
from streamkeep_common.seams import Disk


class Cut(NamedTuple):
    """The segment that becomes the last, how many bytes it keeps, and the log's new end."""

    base_offset: int
    position: int
    end_offset: int


def find_cut(disk: Disk, segments: Sequence[Segment], offset: int, *, interval_bytes: int) -> Cut:
    """Where to cut a log so that no frame reaches above `offset`. Raises CorruptLogError, OSError."""
    segment = segments[segment_number(segments, offset)]
    if offset <= segment.base_offset:
        return Cut(segment.base_offset, 0, segment.base_offset)
    try:
        index = segment.index or load_index(disk, segment, interval_bytes=interval_bytes)[0]
        walk = FrameWalk(segment.file, end=segment.size)
        for frame in walk.frames(index.offsets.floor(offset).position):
            if frame.header.next_offset > offset:
                return Cut(segment.base_offset, frame.position, frame.header.base_offset)
    except BadFrameError as bad:
        raise corrupt(segment, bad.position, bad.reason) from bad
    return Cut(segment.base_offset, segment.size, segment.next_offset)


def cut_back(disk: Disk, segments: Sequence[Segment], cut: Cut, *, flushed_end_offset: int) -> None:
    """Cut there. The log has to be recovered next. Raises OSError."""
    directory = segments[0].path.parent
    kept = [segment for segment in segments if segment.base_offset < cut.base_offset]
    touched = segments[len(kept) :]
    for segment in kept:
        if segment.next_offset > flushed_end_offset:  # while it has the descriptor that hears of errors
            segment.file.sync()
    _unseal(disk, touched)
    last, *gone = touched
    for segment in reversed(gone):
        for suffix in SEGMENT_SUFFIXES:
            disk.remove_file(offset_path(directory, segment.base_offset, suffix))
    for suffix in (OPEN_INDEX_SUFFIX, TIME_INDEX_SUFFIX):
        disk.remove_file(offset_path(directory, last.base_offset, suffix))
    last.file.truncate(cut.position)
    last.file.sync()
    disk.sync_directory(directory)


def _unseal(disk: Disk, segments: Sequence[Segment]) -> None:
    directory = segments[0].path.parent
    sealed = [segment for segment in segments if is_sealed(disk, directory, segment.base_offset)]
    for segment in sealed:
        disk.remove_file(offset_path(directory, segment.base_offset, INDEX_SUFFIX))
    if sealed:
        disk.sync_directory(directory)
