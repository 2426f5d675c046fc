"""One partition's log: segments, indexes, leader epochs and producer states behind one face.

All calls are on the event loop. Appends and reads of cached bytes happen there; flushing, cold reads and
the deletion of files are for the owner's workers. It knows nothing of leaders, clients or other logs, and
it never decides what a failed disk means.

Order: log_start <= high_watermark <= flushed_end <= log_end (durability `os`: high_watermark <= log_end).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from streamkeep_broker.log.checkpoints import Checkpoint
from streamkeep_broker.log.files import LEADER_EPOCHS_NAME, OUT_OF_SPACE, Files
from streamkeep_broker.log.pushed_frames import check_pushed_frames
from streamkeep_broker.log.read import LogReader
from streamkeep_broker.log.readable_log import ReadableLog
from streamkeep_broker.log.recovery import RecoveredLog
from streamkeep_broker.log.retention import count_unneeded
from streamkeep_broker.log.segment import Segment
from streamkeep_broker.log.segments import FlushTarget, RemovedSegment, Segments
from streamkeep_common.errors import (
    InvalidBatchError,
    StorageFailedError,
)
from streamkeep_common.records.frame import FRAME_HEADER_BYTES, FrameHeader, stamp
from streamkeep_common.seams import Disk, Worker
from streamkeep_common.settings import TopicSettings
from streamkeep_proto.v1.records_pb2 import RecordBatch


class Appended(NamedTuple):
    """Where a batch was stored: its offsets are base_offset .. next_offset - 1."""

    base_offset: int
    next_offset: int
    append_time_ms: int


class PartitionLog(ReadableLog):
    """The log of one partition. `settings` may be assigned: new ones count from the next call on."""

    __slots__ = ("_failure", "_files", "_refused", "_worker", "lowered", "on_progress")

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
        self.on_progress: Callable[[], None] = _nobody_listens
        self._disk = disk
        self._files = files
        self._worker = reader
        self._take(recovered)

    def _take(self, recovered: RecoveredLog) -> None:
        self.path = recovered.path
        self.leader_epochs = recovered.leader_epochs
        self.producers = recovered.producers
        self.log_start_offset = recovered.log_start_offset
        self.high_watermark = recovered.high_watermark
        self.flushed_end_offset = recovered.flushed_end_offset
        self.log_end_offset = recovered.segments[-1].next_offset
        self.lowered: Checkpoint | None = None
        """While the log is suspended: what may be relied on if the power goes."""
        self._segments = Segments(
            self.path,
            recovered.segments,
            disk=self._disk,
            files=self._files,
            names_unsynced=recovered.names_unsynced,
        )
        self._reader = LogReader(self._disk, self._worker)
        self._defects = recovered.defects
        self._failure = ""
        self._refused = ""

    # --- writing ---

    def append(self, batch: RecordBatch, payload: bytes, *, leader_epoch: int, now_ms: int) -> Appended:
        """Store a batch that was checked; `payload` is its records, read once.

        Raises OSError after what was written of it was cut off again, CorruptLogError while the log has
        defects, StorageFailedError after a failed write could not be cut off.
        """
        self._check_takes_appends()
        log_append_time = self.settings.timestamp_type == "append"
        timestamp_ms = now_ms if log_append_time else batch.max_timestamp_ms
        last_offset_delta = batch.last_offset_delta
        if self._segments.must_roll(
            self.settings,
            frame_bytes=FRAME_HEADER_BYTES + len(payload),
            timestamp_ms=timestamp_ms,
            last_offset_delta=last_offset_delta,
        ):
            self._segments.roll(self.producers)
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
        self.leader_epochs.assign(leader_epoch, base_offset)
        self._write(header, payload, next_offset, timestamp_ms)
        self.producers.record(
            batch.producer_id,
            batch.producer_epoch,
            base_sequence=batch.base_sequence,
            last_offset_delta=last_offset_delta,
            base_offset=base_offset,
            append_time_ms=now_ms,
        )
        return Appended(base_offset, next_offset, now_ms)

    def append_frames(self, frames: bytes, *, previous_end_offset: int, leader_epoch: int) -> None:
        """Store a leader's frames as they are; `previous_end_offset` is where the log must end for that.

        All are checked before the first is written. Raises CorruptBatchError, InvalidBatchError and
        UnsupportedFeatureError as `check_pushed_frames`, and as `append`; frames that went to a segment
        before the one that could not be written stay.
        """
        self._check_takes_appends()
        if previous_end_offset != self.log_end_offset:
            raise InvalidBatchError(
                f"the frames follow offset {previous_end_offset}, {self!r} ends elsewhere"
            )
        pushed = check_pushed_frames(
            frames,
            log_end_offset=previous_end_offset,
            last_epoch=self.last_epoch,
            leader_epoch=leader_epoch,
        )
        if not self._segments.takes_all(self.settings, pushed, len(frames)):
            self._append_piecemeal(frames, pushed.headers)
        else:
            self._append_run(frames, pushed.headers)

    def _append_piecemeal(self, frames: bytes, headers: Sequence[FrameHeader]) -> None:
        """Where a segment ends within the frames."""
        first = position = 0
        while first < len(headers):
            count = self._segments.count_fitting(self.settings, headers, first)
            if not count:
                self._segments.roll(self.producers)
                continue
            run = headers[first : first + count]
            size = sum(header.frame_bytes for header in run)
            self._append_run(frames[position : position + size], run)
            first, position = first + count, position + size

    def _append_run(self, frames: bytes, headers: Sequence[FrameHeader]) -> None:
        active = self._segments.active
        try:
            active.append_frames(frames, headers, interval_bytes=self.settings.index_interval_bytes)
        except OSError:
            self._take_back(active)
            raise
        self._segments.size_bytes += len(frames)
        self.log_end_offset = active.next_offset
        epoch = 0
        for header in headers:
            if header.leader_epoch != epoch:
                epoch = header.leader_epoch
                self.leader_epochs.follow(epoch, header.base_offset)
            self.producers.take_in(header)

    def advance_high_watermark(self, offset: int) -> bool:
        """Move it forward to `offset`, at most to what is acknowledged here. False if it stays."""
        offset = min(offset, self.acknowledged_end)
        if offset <= self.high_watermark:
            return False
        self.high_watermark = offset
        return True

    def delete_records(self, before_offset: int) -> None:
        """Move the log start forward, never back, at most to the high watermark.

        Segments below it go with the next retention.
        """
        assert before_offset <= self.high_watermark
        self._raise_log_start(before_offset)

    def adopt_log_start(self, offset: int) -> None:
        """Follow the leader's log start, at most to the own high watermark, never back."""
        self._raise_log_start(min(offset, self.high_watermark))

    def take_unneeded_segments(self, now_ms: int) -> list[RemovedSegment]:
        """Let go of the segments that retention or delete_records has made unneeded; the log start follows.

        Flush what `needs_flush`, and write the log start down durably, before their files are removed: they
        are what a crash could rebuild the producers' states from. A log with defects lets nothing go:
        what is wrong with it is to be looked at first.
        """
        count = 0
        if not self._defects and not self._refused:
            count = count_unneeded(
                self._segments.all,
                self._segments.largest_timestamp_ms,
                now_ms=now_ms,
                log_start_offset=self.log_start_offset,
                high_watermark=self.high_watermark,
                retention_ms=self.settings.retention_ms,
                retention_bytes=self.settings.retention_bytes,
            )
        if not count:
            return []
        removed = self._segments.remove_first(count, self.producers)
        self._raise_log_start(self._segments.all[0].base_offset)
        return removed

    def _write(self, header: bytes, payload: bytes, next_offset: int, timestamp_ms: int) -> None:
        """The frame at the end of the log, or nothing of it and OSError."""
        active = self._segments.active
        try:
            active.append(
                header,
                payload,
                next_offset=next_offset,
                timestamp_ms=timestamp_ms,
                interval_bytes=self.settings.index_interval_bytes,
            )
        except OSError:
            self._take_back(active)
            raise
        self._segments.size_bytes += len(header) + len(payload)
        self.log_end_offset = next_offset

    def _check_takes_appends(self) -> None:
        if self._refused:
            raise StorageFailedError(self._refused)
        self.check_sound()

    def _take_back(self, segment: Segment) -> None:
        """Cut what a failed write has left behind the last frame."""
        try:
            segment.file.truncate(segment.size)
        except OSError as error:
            self._failure = self._refused = (
                f"{segment.path} has an unfinished frame at byte {segment.size} that cannot be cut: {error}"
            )

    def _raise_log_start(self, offset: int) -> None:
        if offset > self.log_start_offset:
            self.log_start_offset = offset
            self.leader_epochs.forget_before(offset)

    # --- flushing ---

    @property
    def needs_flush(self) -> bool:
        """A segment was rolled and is not sealed yet: a flush is wanted, whatever the topic's durability."""
        return self._segments.needs_flush

    def flush_target(self) -> FlushTarget:
        """What to make durable now. One flush at a time: `flushed` comes before the next target is taken.

        Just after a roll the end offset is only the rolled segment's end, and `needs_flush` stays true.
        Raises OSError.
        """
        self._save_leader_epochs()
        return self._segments.begin_commit(self.flushed_end_offset)

    def flushed(self, end_offset: int) -> None:
        """The last target is durable."""
        assert end_offset <= self.log_end_offset
        self.flushed_end_offset = max(self.flushed_end_offset, end_offset)
        self._segments.end_commit()

    def _save_leader_epochs(self) -> None:
        """Append what is new. On a full disk it waits for the next flush: frames carry their epoch too."""
        lines = self.leader_epochs.unsaved()
        if not lines:
            return
        file = self._files.open(self.path / LEADER_EPOCHS_NAME, create=True)
        size = file.size()
        self._segments.unsynced.append(file)
        self._segments.names_unsynced = True
        try:
            file.append([lines])
        except OSError as error:
            if error.errno not in OUT_OF_SPACE:
                raise
            file.truncate(size)
            return
        self.leader_epochs.saved()

    # --- rebuilding ---

    @property
    def is_suspended(self) -> bool:
        """Its files are being changed, or that failed halfway: it takes no appends and no flushes."""
        return self.lowered is not None

    def suspend(self, lowered: Checkpoint) -> None:
        """Its files are about to be changed behind its back; nothing above `lowered` may be relied on."""
        self.lowered = lowered
        self._refused = f"{self.name} is being rebuilt"
        self._segments.is_taken_over = True

    def cancel_suspension(self) -> None:
        """Its files were not changed after all."""
        self.lowered = None
        self._refused = self._failure
        self._segments.is_taken_over = False

    def resume(self, recovered: RecoveredLog) -> None:
        """This is what its files hold now."""
        assert self.is_suspended and recovered.path == self.path
        high_watermark = self.high_watermark
        self._take(recovered)
        self.high_watermark = max(self.log_start_offset, min(high_watermark, self.acknowledged_end))

    # --- closing ---

    def close(self) -> None:
        """Write what the next start would otherwise have to rebuild, unsynced, and close all files.

        For a clean stop: call it when everything is flushed, and sync the file system after it.
        Raises OSError.
        """
        assert self.flushed_end_offset == self.log_end_offset and not self.needs_flush, "flush before closing"
        self._segments.write_closing_state(self.producers)
        self._save_leader_epochs()
        self.close_files()

    def close_files(self) -> None:
        """Close all files and write nothing."""
        self._segments.close_files()


def _nobody_listens() -> None:
    """Until a partition asks to hear of progress."""
