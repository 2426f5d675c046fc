"""One partition's log: where it begins, what of it is acknowledged and flushed, how it is rebuilt and closed.

Reading it is `ReadableLog`'s part, appending to it `WritableLog`'s. All calls are on the event loop. Appends
and reads of cached bytes happen there; flushing, cold reads and the deletion of files are for the owner's
workers. It knows nothing of leaders, clients or other logs, and it never decides what a failed disk means.

Order: log_start <= high_watermark <= flushed_end <= log_end (durability `os`: high_watermark <= log_end).
"""

from __future__ import annotations

from collections.abc import Callable

from streamkeep_broker.log.checkpoints import Checkpoint
from streamkeep_broker.log.epoch_file import append_epochs
from streamkeep_broker.log.files import Files
from streamkeep_broker.log.read import LogReader
from streamkeep_broker.log.recovery import RecoveredLog
from streamkeep_broker.log.retention import count_unneeded
from streamkeep_broker.log.segments import FlushTarget, RemovedSegment, Segments
from streamkeep_broker.log.writable_log import WritableLog
from streamkeep_common.seams import Disk, Worker
from streamkeep_common.settings import TopicSettings


class PartitionLog(WritableLog):
    """The log of one partition. `settings` may be assigned: new ones count from the next call on."""

    __slots__ = ("_files", "_worker", "lowered", "on_progress")

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

    # --- high watermark and log start ---

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
        if self.leader_epochs.unsaved():
            self._segments.names_unsynced = True
            append_epochs(self._files, self.path, self.leader_epochs, self._segments.unsynced)

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
