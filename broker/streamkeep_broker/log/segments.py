"""The segments of one log: which there are, when a new one begins, when old ones go, what a flush must cover.

A rolled segment is *sealed* in two commits. The first makes durable the segment, its index and the names
beside it; only then is the seal put up, and only with the second, which makes the seal durable, is anything
behind the segment called durable. So recovery may take a segment without a seal at its word: if its end is
torn, nothing behind it was acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from streamkeep_broker.log.files import (
    LOG_SUFFIX,
    OUT_OF_SPACE,
    SEGMENT_SUFFIXES,
    SNAPSHOT_SUFFIX,
    START_SUFFIX,
    Files,
    offset_path,
    write_unsynced,
)
from streamkeep_broker.log.offset_index import MAX_RELATIVE_OFFSET
from streamkeep_broker.log.producer_snapshot import encode_snapshot
from streamkeep_broker.log.producer_states import ProducerStates
from streamkeep_broker.log.pushed_frames import PushedFrames
from streamkeep_broker.log.segment import Segment
from streamkeep_broker.log.segment_files import read_largest, seal, write_indexes
from streamkeep_broker.log.time_index import NO_TIMESTAMP
from streamkeep_common.limits import MAX_SEGMENT_BYTES
from streamkeep_common.records.frame import FRAME_HEADER_BYTES, FrameHeader
from streamkeep_common.seams import Disk, DiskFile
from streamkeep_common.settings import TopicSettings


class FlushTarget(NamedTuple):
    """What a group commit must make durable before it may say `flushed(end_offset)`."""

    files: Sequence[DiskFile]
    directories: Sequence[Path]
    end_offset: int


class RemovedSegment(NamedTuple):
    """A segment that the log has let go; closing and removing its files is left to the owner."""

    base_offset: int
    size: int
    files: Sequence[DiskFile]
    paths: Sequence[Path]
    start_path: Path
    """To be made before the segment goes, if that the log begins behind it could not be written down."""
    is_taken_over: Callable[[], bool]
    """The log was rebuilt since: its files are no longer the owner's to remove."""


class Segments:
    """Segments by base offset, never none. The last one, `active`, is written."""

    __slots__ = (
        "_committing",
        "_committing_files",
        "_directory",
        "_disk",
        "_files",
        "_is_named",
        "_sealable",
        "_snapshot_offset",
        "_unsealed",
        "active",
        "all",
        "is_taken_over",
        "names_unsynced",
        "size_bytes",
        "unsynced",
    )

    def __init__(
        self, directory: Path, segments: list[Segment], *, disk: Disk, files: Files, names_unsynced: bool
    ) -> None:
        self._directory = directory
        self._disk = disk
        self._files = files
        self.all = segments
        self.active = segments[-1]
        self.size_bytes = sum(segment.size for segment in segments)
        self.unsynced: list[DiskFile] = []
        """Files beside the segments that were written since the last commit began; closed after it."""
        self.names_unsynced = names_unsynced
        self._is_named = not names_unsynced
        self._unsealed: list[Segment] = []
        self._sealable: Segment | None = None
        self._committing: Segment | None = None
        self._committing_files: list[DiskFile] = []
        self._snapshot_offset = -1
        self.is_taken_over = False
        """The log is rebuilt from its files: none of those let go before is to be removed by its name."""

    # --- rolling ---

    def must_roll(
        self, settings: TopicSettings, *, frame_bytes: int, timestamp_ms: int, last_offset_delta: int
    ) -> bool:
        """By size, by time since the first frame's timestamp, by what the index can hold.

        While the segment before is not sealed the roll waits, up to twice the size, so that a crash can
        tear no more than one segment. In a new log it waits for the first commit, so that a crash cannot
        leave the second segment without the first.
        """
        active = self.active
        size = active.size + frame_bytes
        if size == frame_bytes:
            return False
        index = active.index
        assert index is not None
        due = (
            size > settings.segment_bytes
            or timestamp_ms - index.first_timestamp_ms > settings.segment_ms
            or active.next_offset + last_offset_delta - active.base_offset > MAX_RELATIVE_OFFSET
        )
        if not due or (self._is_named and not self._unsealed):
            return due
        limit = 2 * settings.segment_bytes if self._is_named else MAX_SEGMENT_BYTES
        return size > min(limit, MAX_SEGMENT_BYTES)

    def takes_all(self, settings: TopicSettings, pushed: PushedFrames, size: int) -> bool:
        """Whether the active segment takes all of the frames, which come next."""
        active = self.active
        return active.size > 0 and not self.must_roll(
            settings,
            frame_bytes=size,
            timestamp_ms=pushed.largest_timestamp_ms,
            last_offset_delta=pushed.headers[-1].next_offset - 1 - active.next_offset,
        )

    def count_fitting(self, settings: TopicSettings, headers: Sequence[FrameHeader], first: int) -> int:
        """How many of the frames, from number `first` on, the active segment takes before it must roll."""
        if not self.active.size:
            return 1  # what comes after it is held against its timestamp
        size = 0
        for number in range(first, len(headers)):
            header = headers[number]
            size += FRAME_HEADER_BYTES + header.records_bytes
            if self.must_roll(
                settings,
                frame_bytes=size,
                timestamp_ms=header.largest_timestamp_ms,
                last_offset_delta=header.next_offset - 1 - self.active.next_offset,
            ):
                return number - first
        return len(headers) - first

    def roll(self, producers: ProducerStates) -> None:
        """Begin a new segment. If that fails with OSError, all is as it was."""
        rolled = self.active
        assert rolled.index is not None
        base_offset = rolled.next_offset
        write_indexes(self._files, rolled, self.unsynced)
        self._write_snapshot(producers, base_offset)
        path = offset_path(self._directory, base_offset, LOG_SUFFIX)
        self._disk.open(path, create=True).close()
        self.active = Segment.empty(base_offset, self._files.open(path))
        self.all.append(self.active)
        self.names_unsynced = True
        self._unsealed.append(rolled)
        rolled.largest = rolled.index.largest
        rolled.index = None

    def write_closing_state(self, producers: ProducerStates) -> None:
        """What spares the next start to read the active segment. Raises OSError."""
        active = self.active
        assert active.index is not None
        if len(active.index.offsets):
            write_indexes(self._files, active, self.unsynced)
        if active.next_offset and self._snapshot_offset != active.next_offset:
            self._write_snapshot(producers, active.next_offset)

    def close_files(self) -> None:
        """Close all files and write nothing."""
        for segment in self.all:
            segment.file.close()
        for file in (*self.unsynced, *self._committing_files):
            file.close()

    def _write_snapshot(self, producers: ProducerStates, offset: int) -> None:
        path = offset_path(self._directory, offset, SNAPSHOT_SUFFIX)
        write_unsynced(self._files, path, encode_snapshot(producers, offset), self.unsynced)
        self._snapshot_offset = offset

    # --- retention ---

    def largest_timestamp_ms(self, number: int) -> int:
        """Of a segment; where its time index is lost, the time of its last write stands in."""
        segment = self.all[number]
        if segment.index is not None:
            return segment.index.largest_timestamp_ms
        if segment.largest is None:
            segment.largest = read_largest(self._disk, segment)
        if segment.largest is None or segment.largest.timestamp_ms == NO_TIMESTAMP:
            return self._disk.modified_ms(segment.path)
        return segment.largest.timestamp_ms

    def remove_first(self, count: int, producers: ProducerStates) -> list[RemovedSegment]:
        """Let go of the oldest; if that is all of them, a new one is begun before."""
        if count == len(self.all) and not self._roll_if_room(producers):
            count -= 1
        removed, self.all = self.all[:count], self.all[count:]
        self._unsealed = [segment for segment in self._unsealed if segment not in removed]
        self.size_bytes -= sum(segment.size for segment in removed)
        return [self._removed(segment) for segment in removed]

    def _roll_if_room(self, producers: ProducerStates) -> bool:
        """On a full disk the last segment stays; retention must still free the others."""
        try:
            self.roll(producers)
        except OSError as error:
            if error.errno not in OUT_OF_SPACE:
                raise
            return False
        return True

    def _removed(self, segment: Segment) -> RemovedSegment:
        paths = [offset_path(self._directory, segment.base_offset, suffix) for suffix in SEGMENT_SUFFIXES]
        return RemovedSegment(
            segment.base_offset,
            segment.size,
            (segment.file,),
            paths,
            offset_path(self._directory, segment.next_offset, START_SUFFIX),
            is_taken_over=lambda: self.is_taken_over,
        )

    # --- flushing ---

    @property
    def needs_flush(self) -> bool:
        """A rolled segment is not sealed, or a file beside the segments was written."""
        return bool(self._unsealed or self.unsynced)

    def begin_commit(self, flushed_end_offset: int) -> FlushTarget:
        """Put up the seal that the last commit allows, and say what the next one must cover."""
        if self._sealable is not None and self._sealable in self._unsealed:
            seal(self._disk, self._sealable)
            self._unsealed.remove(self._sealable)
            self.names_unsynced = True
        self._sealable = None
        self._committing = self._unsealed[0] if self._unsealed else None
        end_offset = (self._committing or self.active).next_offset
        self._committing_files += self.unsynced
        self.unsynced = []
        directories = (self._directory,) if self.names_unsynced else ()
        self.names_unsynced = False
        dirty = self._dirty_files(flushed_end_offset, end_offset)
        return FlushTarget((*dirty, *self._committing_files), directories, end_offset)

    def end_commit(self) -> None:
        """What `begin_commit` said is durable."""
        self._sealable, self._committing = self._committing, None
        self._is_named = True
        for file in self._committing_files:
            file.close()
        self._committing_files = []

    def _dirty_files(self, flushed_end_offset: int, end_offset: int) -> list[DiskFile]:
        dirty = []
        for segment in reversed(self.all):
            if segment.next_offset <= flushed_end_offset:
                break
            if segment.base_offset < end_offset:
                dirty.append(segment.file)
        return dirty
