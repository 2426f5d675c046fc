"""Opens a partition's log after a clean stop or a crash: as it was left, or as a scan finds it.

What a crash may tear is cut; everything else that is wrong is named, with file and byte, and never cut
(see `log_scan`): the log then opens with `defects`, gives out its good parts and takes no appends. Runs on
a worker, before the log is in use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from streamkeep_broker.log.begin_anew import finish_beginning_anew
from streamkeep_broker.log.checkpoints import Checkpoint
from streamkeep_broker.log.files import Files
from streamkeep_broker.log.frame_walk import BadFrameError
from streamkeep_broker.log.leader_epochs import LeaderEpochs
from streamkeep_broker.log.log_scan import Findings, LogScan
from streamkeep_broker.log.producer_states import ProducerStates
from streamkeep_broker.log.recovered_files import RecoveredFiles
from streamkeep_broker.log.recovered_states import RecoveredStates
from streamkeep_broker.log.segment import Defect, Segment
from streamkeep_broker.log.segment_files import load_index
from streamkeep_common.seams import Disk
from streamkeep_common.settings import TopicSettings


@dataclass(slots=True)
class RecoveredLog:
    """What a `PartitionLog` begins with."""

    path: Path
    segments: list[Segment]
    """By base offset, never none; the last one is written."""
    leader_epochs: LeaderEpochs
    producers: ProducerStates
    log_start_offset: int
    high_watermark: int
    flushed_end_offset: int
    names_unsynced: bool
    """The directory's names may not be durable yet."""
    defects: list[Defect] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was done about what, in sentences for the server's log."""


def recover_log(
    disk: Disk,
    files: Files,
    path: Path,
    *,
    checkpoint: Checkpoint,
    clean: bool,
    same_boot: bool,
    settings: TopicSettings,
) -> RecoveredLog:
    """Open the log in the directory `path`; an empty directory is a new log. Blocking. Raises OSError.

    `clean`: the last stop was clean, so that only what it wrote is read. `same_boot`: the machine has run on
    since the log was opened last.
    """
    finish_beginning_anew(disk, path)
    recovery = _Recovery(disk, files, path, checkpoint, settings, same_boot=same_boot)
    if recovery.is_of_new_log:
        recovery.begin_anew(checkpoint.log_start_offset)
    elif not (clean and recovery.load()):
        recovery.scan()
    return recovery.finish()


class _Recovery:
    def __init__(
        self,
        disk: Disk,
        files: Files,
        path: Path,
        checkpoint: Checkpoint,
        settings: TopicSettings,
        *,
        same_boot: bool,
    ) -> None:
        self._disk = disk
        self._open_files = files
        self._path = path
        self._checkpoint = checkpoint
        self._same_boot = same_boot
        self._interval_bytes = settings.index_interval_bytes
        self._floor = checkpoint.durable_floor
        self._findings = Findings()
        self._files = RecoveredFiles(disk, files, path)
        self._states = RecoveredStates(disk, path, self._findings.notes)
        self._names_unsynced = False
        self._is_scanned = False
        self._segments: list[Segment] = []
        self._flushed_end = 0
        self._files.remove_before(checkpoint.log_start_offset)

    # --- three ways to begin ---

    @property
    def is_of_new_log(self) -> bool:
        """There is no segment."""
        return not self._files.bases

    def begin_anew(self, base_offset: int) -> None:
        """No segments: an empty one."""
        self._segments = [self._files.create_segment(base_offset)]
        self._flushed_end = base_offset
        self._names_unsynced = True
        self._states.read_epochs()
        self._states.read_snapshot(base_offset)

    def load(self) -> bool:
        """After a clean stop: the last segment's index, epochs and producers as they were written.

        False if anything of that is missing or not as it should be.
        """
        self._segments = [self._files.unread_segment(number) for number in range(len(self._files.bases))]
        last = self._segments[-1]
        try:
            last.index, end = load_index(self._disk, last, interval_bytes=self._interval_bytes)
        except BadFrameError:
            return False
        last.next_offset = self._flushed_end = end
        has_epochs = self._states.read_epochs()
        if end == 0:
            return self._floor == 0
        return end >= self._floor and has_epochs and self._states.read_snapshot(end)

    def scan(self) -> None:
        """After a crash: what the frames themselves tell."""
        scan = LogScan(
            self._files,
            self._states,
            self._findings,
            floor=self._floor,
            same_boot=self._same_boot,
            interval_bytes=self._interval_bytes,
        )
        scan.run(self._checkpoint.recovery_point)
        self._segments, self._flushed_end = scan.segments, scan.flushed_end_offset
        self._is_scanned = True

    # --- what all of them end with ---

    def finish(self) -> RecoveredLog:
        log_start_offset = self._find_log_start()
        if log_start_offset > self._log_end and not self._findings.defects:
            self._wipe(log_start_offset)
        self._check_nothing_lost()
        log_end_offset = self._log_end
        log_start_offset = min(log_start_offset, log_end_offset)
        self._states.end_at(log_end_offset)
        self._states.epochs.forget_before(log_start_offset)
        if not self._findings.defects:
            self._files.remove_leftovers(self._segments, log_end_offset)
        self._make_durable()
        return RecoveredLog(
            path=self._path,
            segments=self._segments,
            leader_epochs=self._states.epochs,
            producers=self._states.producers,
            log_start_offset=log_start_offset,
            high_watermark=max(min(self._checkpoint.high_watermark, log_end_offset), log_start_offset),
            flushed_end_offset=max(min(self._flushed_end, log_end_offset), log_start_offset),
            names_unsynced=self._names_unsynced,
            defects=self._findings.defects,
            notes=self._findings.notes,
        )

    @property
    def _log_end(self) -> int:
        return self._segments[-1].next_offset

    def _find_log_start(self) -> int:
        """Where the files begin, unless records before that were on disk and nobody gave them up.

        A log that begins later would pass for one whose first records were deleted; its followers, and all
        replicas once it led, would delete them too.
        """
        known = max([self._checkpoint.log_start_offset, *self._files.promised_starts()])
        first = self._segments[0]
        if first.base_offset <= known or self._floor <= known:
            return max(self._checkpoint.log_start_offset, first.base_offset)
        reason = "the files before this one are missing"
        self._findings.add_defect(Defect(first.path, 0, 0, known, reason))
        return known

    def _wipe(self, log_start_offset: int) -> None:
        """All that the log holds was deleted before the crash."""
        self._findings.notes.append(
            f"{self._path} ends at offset {self._log_end}, below its log start {log_start_offset}: begun anew"
        )
        for base_offset in self._files.bases:
            self._files.remove_segment(base_offset)
        self.begin_anew(log_start_offset)

    def _check_nothing_lost(self) -> None:
        """Going on below what was durable would give its offsets to other records."""
        last = self._segments[-1]
        if self._findings.defects:
            return
        if last.next_offset < self._floor:
            reason = f"the log ends here, but it was on disk up to offset {self._floor}"
        elif self._files.is_sealed(last.base_offset):
            reason = "the file that followed this one is missing"
        else:
            return
        self._findings.add_defect(Defect(last.path, last.size, last.size, last.next_offset, reason), last)

    def _make_durable(self) -> None:
        """What no flush covers: whoever wrote or removed it may have died before it was synced."""
        if self._is_scanned and not self._findings.defects:
            self._states.save_epochs(self._open_files)
        if self._is_scanned or self._files.names_changed:
            self._files.sync_names()
            self._names_unsynced = False
