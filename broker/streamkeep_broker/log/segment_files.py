"""What stands on disk beside a segment: its indexes, and the seal that they are.

A segment that was rolled is *sealed* once all of it is known to be on disk: `.index.open` becomes `.index`.
Nothing behind a segment is called durable before the name of its seal is (see `PartitionLog`). So after a
power cut a segment without a seal may have lost its tail, and then nothing behind it was acknowledged; one
with a seal was whole, and whatever is wrong with it is corruption.
"""

from __future__ import annotations

from pathlib import Path

from streamkeep_broker.log.files import (
    INDEX_SUFFIX,
    OPEN_INDEX_SUFFIX,
    TIME_INDEX_SUFFIX,
    Files,
    offset_path,
    write_unsynced,
)
from streamkeep_broker.log.index_file import BrokenIndexError
from streamkeep_broker.log.offset_index import OffsetIndex
from streamkeep_broker.log.segment import Segment
from streamkeep_broker.log.segment_index import SegmentIndex
from streamkeep_broker.log.time_index import TimedFrame, TimeIndex
from streamkeep_common.seams import Disk, DiskFile


def write_indexes(files: Files, segment: Segment, unsynced: list[DiskFile]) -> None:
    """Write both index files of a segment, not yet as a seal, and add them to those to be synced.

    Raises OSError.
    """
    assert segment.index is not None
    segment.index.finish()
    contents = (
        (TIME_INDEX_SUFFIX, segment.index.times.encode(segment.size)),
        (OPEN_INDEX_SUFFIX, segment.index.offsets.encode(segment.size)),
    )
    for suffix, content in contents:
        path = offset_path(segment.path.parent, segment.base_offset, suffix)
        write_unsynced(files, path, content, unsynced)


def seal(disk: Disk, segment: Segment) -> None:
    """All of the segment and its index is on disk: say so. Durable with the directory's next sync."""
    directory, base_offset = segment.path.parent, segment.base_offset
    disk.rename(
        offset_path(directory, base_offset, OPEN_INDEX_SUFFIX),
        offset_path(directory, base_offset, INDEX_SUFFIX),
    )


def is_sealed(disk: Disk, directory: Path, base_offset: int) -> bool:
    """Whether the segment was whole on disk once."""
    return disk.exists(offset_path(directory, base_offset, INDEX_SUFFIX))


def read_index(disk: Disk, directory: Path, base_offset: int, segment_bytes: int) -> SegmentIndex | None:
    """The indexes as they were written; None if a file is missing, damaged or of another state."""
    for suffix in (INDEX_SUFFIX, OPEN_INDEX_SUFFIX):
        try:
            data = disk.read_file(offset_path(directory, base_offset, suffix))
            offsets = OffsetIndex.decode(data, base_offset, segment_bytes)
            return SegmentIndex(offsets, _read_times(disk, directory, base_offset, segment_bytes))
        except (FileNotFoundError, BrokenIndexError):
            continue  # it is built again from the segment
    return None


def load_index(disk: Disk, segment: Segment, *, interval_bytes: int) -> tuple[SegmentIndex, int]:
    """The segment's index from its files or, if they are not good, from its frames, and its end. Blocking.

    The end is the offset after the last frame. Raises BadFrameError if it meets one on the way.
    """
    index = read_index(disk, segment.path.parent, segment.base_offset, segment.size)
    index = index or SegmentIndex.empty(segment.base_offset)
    return index, index.catch_up(segment.file, segment.size, interval_bytes=interval_bytes)


def read_largest(disk: Disk, segment: Segment) -> TimedFrame | None:
    """The frame with the greatest timestamp by the time index file; None if that is not good."""
    try:
        return _read_times(disk, segment.path.parent, segment.base_offset, segment.size).last
    except (FileNotFoundError, BrokenIndexError):
        return None


def _read_times(disk: Disk, directory: Path, base_offset: int, segment_bytes: int) -> TimeIndex:
    data = disk.read_file(offset_path(directory, base_offset, TIME_INDEX_SUFFIX))
    return TimeIndex.decode(data, base_offset, segment_bytes)
