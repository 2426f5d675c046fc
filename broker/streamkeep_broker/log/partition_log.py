"""One partition's log: segments, indexes, leader epochs and producer states behind one face.

All calls are on the event loop. Appends and reads of cached bytes happen there; flushing, cold reads and
the deletion of files are for the owner's workers. It knows nothing of leaders, clients or other logs, and
it never decides what a failed disk means.

Order: log_start <= high_watermark <= flushed_end <= log_end (durability `os`: high_watermark <= log_end).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from streamkeep_broker.log.files import (
    LEADER_EPOCHS_NAME,
    LOG_SUFFIX,
    SNAPSHOT_SUFFIX,
    Files,
    offset_path,
    write_unsynced,
)
from streamkeep_broker.log.lookup import FoundOffset, LogView, find_max_timestamp, find_timestamp
from streamkeep_broker.log.offset_index import MAX_RELATIVE_OFFSET
from streamkeep_broker.log.producer_snapshot import encode_snapshot
from streamkeep_broker.log.read import LogReader, LogSlice, ReadCursor
from streamkeep_broker.log.recovery import SEGMENT_SUFFIXES, RecoveredLog
from streamkeep_broker.log.retention import count_unneeded
from streamkeep_broker.log.segment import Defect, Segment
from streamkeep_broker.log.segment_files import read_largest, seal, write_indexes
from streamkeep_broker.log.time_index import NO_TIMESTAMP
from streamkeep_common.errors import CorruptLogError, OffsetOutOfRangeError, StorageFailedError
from streamkeep_common.limits import MAX_SEGMENT_BYTES
from streamkeep_common.records.frame import FRAME_HEADER_BYTES, stamp
from streamkeep_common.seams import Disk, DiskFile, Worker
from streamkeep_common.settings import TopicSettings
from streamkeep_proto.v1.records_pb2 import RecordBatch


class Appended(NamedTuple):
    """Where a batch was stored: its offsets are base_offset .. next_offset - 1."""

    base_offset: int
    next_offset: int
    append_time_ms: int


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


class PartitionLog:
    """The log of one partition. `settings` may be assigned: new ones count from the next call on."""

    __slots__ = (
        "_active",
        "_defects",
        "_disk",
        "_failure",
        "_files",
        "_flushing_files",
        "_names_changed",
        "_reader",
        "_segments",
        "_snapshot_offset",
        "_unsealed",
        "_unsynced_files",
        "flushed_end_offset",
        "high_watermark",
        "leader_epochs",
        "log_end_offset",
        "log_start_offset",
        "on_progress",
        "partition",
        "path",
        "producers",
        "settings",
        "size_bytes",
        "topic",
        "topic_id",
    )

    def __init__(
        self,
        recovered: RecoveredLog,
        *,
        topic_id: bytes,
        topic: str,
        partition: int,
        settings: TopicSettings,
        disk: Disk,
        files: Files,
        reader: Worker,
    ) -> None:
        self.topic_id = topic_id
        self.topic = topic
        self.partition = partition
        self.settings = settings
        self.path = recovered.path
        self.leader_epochs = recovered.leader_epochs
        self.producers = recovered.producers
        self.log_start_offset = recovered.log_start_offset
        self.high_watermark = recovered.high_watermark
        self.flushed_end_offset = recovered.flushed_end_offset
        self.log_end_offset = recovered.segments[-1].next_offset
        self.size_bytes = sum(segment.size for segment in recovered.segments)
        self.on_progress: Callable[[], None] = _nobody_listens
        self._disk = disk
        self._files = files
        self._reader = LogReader(disk, reader)
        self._segments = recovered.segments
        self._active = recovered.segments[-1]
        self._defects = recovered.defects
        self._failure = ""
        self._names_changed = recovered.names_unsynced
        self._unsealed: list[Segment] = []
        self._unsynced_files: list[DiskFile] = []
        self._flushing_files: list[DiskFile] = []
        self._snapshot_offset = -1

    def __repr__(self) -> str:
        return f"<PartitionLog {self.topic}-{self.partition} {self.log_start_offset}..{self.log_end_offset}>"

    @property
    def acknowledged_end(self) -> int:
        """Up to where this replica acknowledges, by the topic's durability."""
        return self.flushed_end_offset if self.settings.durability == "fsync" else self.log_end_offset

    @property
    def defects(self) -> Sequence[Defect]:
        """What recovery found corrupt. While there is any, nothing can be appended."""
        return self._defects

    @property
    def segments(self) -> Sequence[Segment]:
        """By base offset, never none. Not to be changed."""
        return self._segments

    @property
    def largest_timestamp_ms(self) -> int:
        """The greatest timestamp in the segment that is written; -1 if that is empty."""
        index = self._active.index
        assert index is not None
        return index.largest_timestamp_ms

    # --- writing ---

    def append(self, batch: RecordBatch, payload: bytes, *, leader_epoch: int, now_ms: int) -> Appended:
        """Store a batch that was checked; `payload` is its records, read once.

        Raises OSError after what was written of it was cut off again, CorruptLogError while the log has
        defects, StorageFailedError after a failed write could not be cut off.
        """
        if self._defects or self._failure:
            raise self._refusal()
        settings = self.settings
        log_append_time = settings.timestamp_type == "append"
        timestamp_ms = now_ms if log_append_time else batch.max_timestamp_ms
        last_offset_delta = batch.last_offset_delta
        if self._must_roll(FRAME_HEADER_BYTES + len(payload), timestamp_ms, last_offset_delta):
            self._roll()
        base_offset = self.log_end_offset
        next_offset = base_offset + last_offset_delta + 1
        header = stamp(
            batch,
            payload,
            base_offset=base_offset,
            leader_epoch=leader_epoch,
            append_time_ms=now_ms,
            log_append_time=log_append_time,
        )
        active = self._active
        try:
            active.append(
                header,
                payload,
                next_offset=next_offset,
                timestamp_ms=timestamp_ms,
                interval_bytes=settings.index_interval_bytes,
            )
        except OSError:
            self._cut_back(active)
            raise
        self.leader_epochs.assign(leader_epoch, base_offset)
        self.producers.record(
            batch.producer_id,
            batch.producer_epoch,
            base_sequence=batch.base_sequence,
            last_offset_delta=last_offset_delta,
            base_offset=base_offset,
            append_time_ms=now_ms,
        )
        self.log_end_offset = next_offset
        self.size_bytes += FRAME_HEADER_BYTES + len(payload)
        return Appended(base_offset, next_offset, now_ms)

    def advance_high_watermark(self, offset: int) -> bool:
        """Move it forward to `offset`, at most to what is acknowledged here. False if it stays."""
        offset = min(offset, self.acknowledged_end)
        if offset <= self.high_watermark:
            return False
        self.high_watermark = offset
        return True

    def delete_records(self, before_offset: int) -> None:
        """Move the log start forward, never back. Segments below it go with the next retention.

        Raises OffsetOutOfRangeError past the high watermark.
        """
        if before_offset > self.high_watermark:
            raise OffsetOutOfRangeError(
                f"{self.topic}-{self.partition} has records up to offset {self.high_watermark} only, "
                f"so none can be deleted up to {before_offset}"
            )
        self._raise_log_start(before_offset)

    def _refusal(self) -> Exception:
        return StorageFailedError(self._failure) if self._failure else CorruptLogError(str(self._defects[0]))

    def _cut_back(self, segment: Segment) -> None:
        """Take back what a failed write has left behind the last frame."""
        try:
            segment.file.truncate(segment.size)
        except OSError as error:
            self._failure = (
                f"{segment.path} has an unfinished frame at byte {segment.size} that cannot be cut: {error}"
            )

    def _raise_log_start(self, offset: int) -> None:
        if offset > self.log_start_offset:
            self.log_start_offset = offset
            self.leader_epochs.forget_before(offset)

    # --- segments ---

    def _must_roll(self, frame_bytes: int, timestamp_ms: int, last_offset_delta: int) -> bool:
        """By size, by time since the first frame's timestamp, by what the index can hold.

        While the segment before is not sealed the roll waits, up to twice the size, so that after a crash
        no more than one segment can have lost its end.
        """
        active, settings = self._active, self.settings
        size = active.size
        if not size:
            return False
        index = active.index
        assert index is not None
        due = (
            size + frame_bytes > settings.segment_bytes
            or timestamp_ms - index.first_timestamp_ms > settings.segment_ms
            or self.log_end_offset + last_offset_delta - active.base_offset > MAX_RELATIVE_OFFSET
        )
        if not due or not self._unsealed:
            return due
        return size + frame_bytes > min(2 * settings.segment_bytes, MAX_SEGMENT_BYTES)

    def _roll(self) -> None:
        """Begin a new segment. If that fails with OSError, the log is as it was."""
        rolled, base_offset = self._active, self.log_end_offset
        assert rolled.index is not None
        write_indexes(self._files, rolled, self._unsynced_files)
        self._write_snapshot(base_offset)
        path = offset_path(self.path, base_offset, LOG_SUFFIX)
        self._disk.open(path, create=True).close()
        self._active = Segment.empty(base_offset, self._files.open(path))
        self._segments.append(self._active)
        self._unsealed.append(rolled)
        self._names_changed = True
        rolled.largest = rolled.index.largest
        rolled.index = None

    def _roll_if_room(self) -> bool:
        """On a full disk the last segment stays; retention must still free the others."""
        try:
            self._roll()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return False
        return True

    def _write_snapshot(self, offset: int) -> None:
        path = offset_path(self.path, offset, SNAPSHOT_SUFFIX)
        write_unsynced(self._files, path, encode_snapshot(self.producers, offset), self._unsynced_files)
        self._snapshot_offset = offset

    def take_unneeded_segments(self, now_ms: int) -> list[RemovedSegment]:
        """Let go of the segments that retention or delete_records has made unneeded; the log start follows.

        Write the log start down durably before their files are removed.
        """
        count = count_unneeded(
            self._segments,
            self._largest_timestamp_ms,
            now_ms=now_ms,
            log_start_offset=self.log_start_offset,
            high_watermark=self.high_watermark,
            retention_ms=self.settings.retention_ms,
            retention_bytes=self.settings.retention_bytes,
        )
        if not count or self._defects or self._failure:
            return []
        if count == len(self._segments) and not self._roll_if_room():
            count -= 1
        removed, self._segments = self._segments[:count], self._segments[count:]
        self._unsealed = [segment for segment in self._unsealed if segment not in removed]
        self.size_bytes -= sum(segment.size for segment in removed)
        self._raise_log_start(self._segments[0].base_offset)
        return [self._removed(segment) for segment in removed]

    def _removed(self, segment: Segment) -> RemovedSegment:
        paths = [offset_path(self.path, segment.base_offset, suffix) for suffix in SEGMENT_SUFFIXES]
        return RemovedSegment(segment.base_offset, segment.size, (segment.file,), paths)

    def _largest_timestamp_ms(self, number: int) -> int:
        """Of a segment; where its time index is lost, the time of its last write stands in."""
        segment = self._segments[number]
        if segment.index is not None:
            return segment.index.largest_timestamp_ms
        if segment.largest is None:
            segment.largest = read_largest(self._disk, segment)
        if segment.largest is None or segment.largest.timestamp_ms == NO_TIMESTAMP:
            return self._disk.modified_ms(segment.path)
        return segment.largest.timestamp_ms

    # --- flushing ---

    @property
    def needs_flush(self) -> bool:
        """A segment was rolled and is not sealed: a flush is wanted, whatever the topic's durability."""
        return bool(self._unsealed)

    def flush_target(self) -> FlushTarget:
        """What to make durable now. One flush at a time: `flushed` comes before the next target is taken.

        A rolled segment must be on disk, and then its seal, before anything behind it may be called
        durable; so just after a roll the end offset is that segment's end, and `needs_flush` stays true.
        """
        while self._unsealed and self._unsealed[0].next_offset <= self.flushed_end_offset:
            seal(self._disk, self._unsealed[0])
            del self._unsealed[0]
            self._names_changed = True
        self._save_leader_epochs()
        end_offset = self._unsealed[0].next_offset if self._unsealed else self.log_end_offset
        dirty = self._dirty_segments(end_offset)
        directories = (self.path,) if self._names_changed else ()
        self._flushing_files += self._unsynced_files
        self._unsynced_files = []
        self._names_changed = False
        return FlushTarget((*dirty, *self._flushing_files), directories, end_offset)

    def flushed(self, end_offset: int) -> None:
        """The last target is durable."""
        assert end_offset <= self.log_end_offset
        self.flushed_end_offset = max(self.flushed_end_offset, end_offset)
        for file in self._flushing_files:
            file.close()
        self._flushing_files = []

    def _dirty_segments(self, end_offset: int) -> list[DiskFile]:
        dirty = []
        for segment in reversed(self._segments):
            if segment.next_offset <= self.flushed_end_offset:
                break
            if segment.base_offset < end_offset:
                dirty.append(segment.file)
        return dirty

    def _save_leader_epochs(self) -> None:
        """Append what is new. On a full disk it waits for the next flush: frames carry their epoch too."""
        lines = self.leader_epochs.unsaved()
        if not lines:
            return
        file = self._files.open(self.path / LEADER_EPOCHS_NAME, create=True)
        size = file.size()
        try:
            file.append([lines])
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            file.truncate(size)
            return
        self.leader_epochs.saved()
        self._unsynced_files.append(file)
        self._names_changed = True

    # --- reading ---

    async def read(
        self, offset: int, *, max_bytes: int, end_offset: int, cursor: ReadCursor | None = None
    ) -> LogSlice:
        """Whole frames from the one that contains `offset` on: at least one, none at or past `end_offset`.

        More than `max_bytes` only if the first frame is larger. Empty if there is nothing below `end_offset`.
        Raises OffsetOutOfRangeError below the log start or past the log end; CorruptLogError, which
        names file and byte, where a frame is not what it should be.
        """
        self._check_in_range(offset)
        if offset >= min(end_offset, self.log_end_offset):
            return LogSlice(b"", offset)
        try:
            return await self._reader.read(
                self._segments,
                offset,
                max_bytes=max_bytes,
                end_offset=end_offset,
                cursor=cursor,
                interval_bytes=self.settings.index_interval_bytes,
            )
        except (FileNotFoundError, ValueError):
            self._check_in_range(
                offset
            )  # retention may have taken the segment meanwhile, and closed its file
            raise

    def _check_in_range(self, offset: int) -> None:
        if not self.log_start_offset <= offset <= self.log_end_offset:
            raise OffsetOutOfRangeError(
                f"offset {offset} of {self.topic}-{self.partition} is outside {self.log_start_offset} to "
                f"{self.log_end_offset}"
            )

    async def find_timestamp(self, timestamp_ms: int) -> FoundOffset | None:
        """The first readable record, in offset order, with that timestamp or a later one."""
        return await find_timestamp(self._reader, self._view(), timestamp_ms)

    async def find_max_timestamp(self) -> FoundOffset | None:
        """The first readable record with the greatest timestamp."""
        return await find_max_timestamp(self._reader, self._view())

    def _view(self) -> LogView:
        return LogView(
            self._disk,
            tuple(self._segments),
            self.log_start_offset,
            self.high_watermark,
            self.settings.index_interval_bytes,
        )

    # --- closing ---

    def close(self) -> None:
        """Write what the next start would otherwise have to rebuild, unsynced, and close all files.

        For a clean stop: call it when everything is flushed, and sync the file system after it.
        """
        assert self.flushed_end_offset == self.log_end_offset and not self._unsealed, "flush before closing"
        index = self._active.index
        assert index is not None
        if len(index.offsets):
            write_indexes(self._files, self._active, self._unsynced_files)
        if self.log_end_offset and self._snapshot_offset != self.log_end_offset:
            self._write_snapshot(self.log_end_offset)
        self._save_leader_epochs()
        self.close_files()

    def close_files(self) -> None:
        """Close all files and write nothing."""
        for segment in self._segments:
            segment.file.close()
        for file in (*self._unsynced_files, *self._flushing_files):
            file.close()


def _nobody_listens() -> None:
    """Until a partition asks to hear of progress."""
