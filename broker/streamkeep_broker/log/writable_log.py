"""A log that grows: a producer's batches get their offsets here, a leader's frames keep theirs.

Of what cannot be written nothing stays behind the last frame. `PartitionLog` fills it in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streamkeep_broker.log.pushed_frames import check_pushed_frames
from streamkeep_broker.log.readable_log import ReadableLog
from streamkeep_broker.log.segment import Segment
from streamkeep_common.errors import InvalidBatchError, StorageFailedError
from streamkeep_common.records.frame import FRAME_HEADER_BYTES, FrameHeader, stamp
from streamkeep_proto.v1.records_pb2 import RecordBatch


class Appended(NamedTuple):
    """Where a batch was stored: its offsets are base_offset .. next_offset - 1."""

    base_offset: int
    next_offset: int
    append_time_ms: int


class WritableLog(ReadableLog):
    """What a log takes, and why it takes nothing for now."""

    __slots__ = ("_failure", "_refused")

    _failure: str
    """What has failed until the log is recovered anew; empty = nothing."""
    _refused: str
    """Why nothing can be appended now, beside defects; empty = it can."""

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
