"""Opens a partition's log after a clean stop or a crash, and says what is torn and what is corrupt.

What a crash may tear is cut; everything else that is wrong is named, with file and byte, and never cut:
the log then opens with `defects`, gives out its good parts and takes no appends. Runs on a worker, before
the log is in use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from streamkeep_broker.log.begin_anew import finish_beginning_anew
from streamkeep_broker.log.checkpoints import Checkpoint
from streamkeep_broker.log.files import (
    LOG_SUFFIX,
    SEGMENT_SUFFIXES,
    START_SUFFIX,
    Files,
    leftover_names,
    offset_of,
    offset_path,
)
from streamkeep_broker.log.frame_walk import BadFrameError, Frame
from streamkeep_broker.log.leader_epochs import LeaderEpochs
from streamkeep_broker.log.producer_states import ProducerStates
from streamkeep_broker.log.recovered_states import RecoveredStates
from streamkeep_broker.log.segment import Defect, Segment
from streamkeep_broker.log.segment_files import is_sealed, load_index, seal, write_indexes
from streamkeep_broker.log.segment_index import SegmentIndex
from streamkeep_broker.log.segment_scan import Damage, SegmentScan
from streamkeep_common.seams import Disk, DiskFile
from streamkeep_common.settings import TopicSettings


def durable_floor(checkpoint: Checkpoint) -> int:
    """Records below this offset were on disk, so that nothing of them can be torn."""
    return max(checkpoint.recovery_point, checkpoint.high_watermark)


def is_torn_tail(
    *, offset: int, floor: int, followed: bool, sealed: bool, short: bool, same_boot: bool
) -> bool:
    """Whether the damage where `offset` should begin is what a crash leaves of an unfinished write.

    It is not if the offset was on disk before (below `floor`, or in or before a sealed segment), nor if a
    frame behind it in the same file is whole: a crash tears the end of a file, not its middle. Nor, if the
    machine has run on, unless the file ends `short` of a whole frame: a process that is killed leaves what
    it wrote in the page cache, and of its last write a beginning, but nothing that is wrong.
    """
    return offset >= floor and not followed and not sealed and (short or not same_boot)


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
    if not recovery.bases:
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
        self._files = files
        self._path = path
        self._checkpoint = checkpoint
        self._same_boot = same_boot
        self._interval_bytes = settings.index_interval_bytes
        self._floor = durable_floor(checkpoint)
        self._names = disk.list_directory(path)
        self._names_changed = False
        self._is_new = False
        self._is_scanned = False
        self.bases = self._offsets_of(LOG_SUFFIX)
        self._segments: list[Segment] = []
        self._flushed_end = 0
        self._defects: list[Defect] = []
        self._notes: list[str] = []
        self._states = RecoveredStates(disk, path, self._notes)
        self._forget_retired()

    # --- three ways to begin ---

    def begin_anew(self, base_offset: int) -> None:
        """No segments: an empty one."""
        path = offset_path(self._path, base_offset, LOG_SUFFIX)
        self._disk.open(path, create=True).close()
        self._segments = [Segment.empty(base_offset, self._files.open(path))]
        self._flushed_end = base_offset
        self._is_new = True
        self._states.read_epochs()
        self._states.read_snapshot(base_offset)

    def load(self) -> bool:
        """After a clean stop: the last segment's index, epochs and producers as they were written.

        False if anything of that is missing or not as it should be.
        """
        self._segments = [self._unread_segment(number) for number in range(len(self.bases))]
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
        """Read every segment that reaches above the recovery point or that states must be rebuilt from."""
        start = self._choose_start()
        self._is_scanned = True
        self._segments = [self._unread_segment(number) for number in range(start)]
        self._flushed_end = self._floor
        for number in range(start, len(self.bases)):
            if not self._scan_segment(number):
                self._drop_segments(number + 1)
                break
        self._seal_scanned(start)

    # --- what all of them end with ---

    def finish(self) -> RecoveredLog:
        log_start_offset = self._find_log_start()
        if log_start_offset > self._log_end and not self._defects:
            self._wipe(log_start_offset)
        self._check_nothing_lost()
        log_end_offset = self._log_end
        log_start_offset = min(log_start_offset, log_end_offset)
        self._states.end_at(log_end_offset)
        self._states.epochs.forget_before(log_start_offset)
        if not self._defects:
            self._remove_leftovers()
        self._make_durable()
        return RecoveredLog(
            path=self._path,
            segments=self._segments,
            leader_epochs=self._states.epochs,
            producers=self._states.producers,
            log_start_offset=log_start_offset,
            high_watermark=max(min(self._checkpoint.high_watermark, log_end_offset), log_start_offset),
            flushed_end_offset=max(min(self._flushed_end, log_end_offset), log_start_offset),
            names_unsynced=self._is_new,
            defects=self._defects,
            notes=self._notes,
        )

    def _find_log_start(self) -> int:
        """Where the files begin, unless records before that were on disk and nobody gave them up.

        A log that begins later would pass for one whose first records were deleted; its followers, and all
        replicas once it led, would delete them too.
        """
        known = max([self._checkpoint.log_start_offset, *self._offsets_of(START_SUFFIX)])
        first = self._segments[0]
        if first.base_offset <= known or self._floor <= known:
            return max(self._checkpoint.log_start_offset, first.base_offset)
        reason = "the files before this one are missing"
        self._note_defect(Defect(first.path, 0, 0, known, reason))
        return known

    def _make_durable(self) -> None:
        """What no flush covers: whoever wrote or removed it may have died before it was synced."""
        if self._is_scanned and not self._defects:
            self._states.save_epochs(self._files)
        if self._is_scanned or self._names_changed:
            self._disk.sync_directory(self._path)
            self._is_new = False

    @property
    def _log_end(self) -> int:
        return self._segments[-1].next_offset

    def _wipe(self, log_start_offset: int) -> None:
        """All that the log holds was deleted before the crash."""
        self._notes.append(
            f"{self._path} ends at offset {self._log_end}, below its log start {log_start_offset}: begun anew"
        )
        for base_offset in self.bases:
            self._remove_segment(base_offset)
        self.begin_anew(log_start_offset)

    def _check_nothing_lost(self) -> None:
        """Going on below what was durable would give its offsets to other records."""
        last = self._segments[-1]
        if self._defects:
            return
        if last.next_offset < self._floor:
            reason = f"the log ends here, but it was on disk up to offset {self._floor}"
        elif is_sealed(self._disk, self._path, last.base_offset):
            reason = "the file that followed this one is missing"
        else:
            return
        self._add_defect(last, Defect(last.path, last.size, last.size, last.next_offset, reason))

    def _remove_leftovers(self) -> None:
        """Files of segments that are gone, snapshots that speak of what is gone, unfinished writes."""
        bases = [segment.base_offset for segment in self._segments]
        for name in leftover_names(self._names, bases, self._log_end):
            self._disk.remove_file(self._path / name)
            self._names_changed = True

    def _forget_retired(self) -> None:
        """Segments below the log start were given up; a crash may have brought some of their files back."""
        while len(self.bases) > 1 and self.bases[1] <= self._checkpoint.log_start_offset:
            self._remove_segment(self.bases.pop(0))

    # --- scanning ---

    def _choose_start(self) -> int:
        """The number of the first segment to read: the epochs and a snapshot must be known as of its base."""
        start = self._number_of(self._checkpoint.recovery_point)
        if not self._states.read_epochs():
            start = 0
        while not self._states.read_snapshot(self.bases[start]) and start > 0:
            start -= 1
        return start

    def _scan_segment(self, number: int) -> bool:
        """False if the log ends here, because the rest was torn."""
        base_offset = self.bases[number]
        if self._segments and not self._joins(self._segments[-1], base_offset):
            self._drop_segments(number)
            return False
        segment = self._unread_segment(number)
        segment.index = SegmentIndex.empty(base_offset)
        self._segments.append(segment)
        scan = SegmentScan(segment.file, size=segment.size, base_offset=base_offset)
        for item in scan.items():
            if isinstance(item, Frame):
                self._take_in(segment, item)
            elif self._is_torn(
                segment, offset=item.offset, followed=item.following is not None, short=item.is_short
            ):
                self._cut(segment, item)
                return False
            else:
                self._keep(segment, item)
        is_last = number == len(self.bases) - 1
        segment.next_offset = scan.offset if is_last or not segment.defects else self.bases[number + 1]
        return True

    def _joins(self, before: Segment, base_offset: int) -> bool:
        """Whether the log goes on at `base_offset`; a gap is torn or a defect, as any damage is."""
        offset = before.next_offset
        if offset == base_offset:
            return True
        if self._is_torn(before, offset=offset, followed=base_offset < offset, short=True):
            return False
        reason = f"offset {offset} should follow, but the next file begins with {base_offset}"
        self._add_defect(before, Defect(before.path, before.size, before.size, offset, reason))
        before.next_offset = base_offset
        return True

    def _take_in(self, segment: Segment, frame: Frame) -> None:
        header = frame.header
        assert segment.index is not None
        segment.index.note(
            header.base_offset,
            frame.position,
            header.frame_bytes,
            header.largest_timestamp_ms,
            interval_bytes=self._interval_bytes,
        )
        self._states.take_in(header)

    def _is_torn(self, segment: Segment, *, offset: int, followed: bool, short: bool) -> bool:
        sealed = any(
            is_sealed(self._disk, self._path, base) for base in self.bases if base >= segment.base_offset
        )
        return is_torn_tail(
            offset=offset,
            floor=self._floor,
            followed=followed,
            sealed=sealed,
            short=short,
            same_boot=self._same_boot,
        )

    def _keep(self, segment: Segment, damage: Damage) -> None:
        """Corruption: name it, and make what follows it findable."""
        assert segment.index is not None
        defect = Defect(segment.path, damage.position, damage.end_position, damage.offset, damage.reason)
        self._add_defect(segment, defect)
        if damage.following is not None:
            segment.index.mark(damage.following.header.base_offset, damage.end_position)

    def _cut(self, segment: Segment, damage: Damage) -> None:
        lost = segment.size - damage.position
        self._notes.append(
            f"{segment.path}: cut {lost} bytes at byte {damage.position}, offset {damage.offset}: a write "
            f"that a crash left unfinished ({damage.reason})"
        )
        segment.file.truncate(damage.position)
        segment.file.sync()
        segment.size, segment.next_offset = damage.position, damage.offset

    def _drop_segments(self, number: int) -> None:
        """They follow a torn tail, so nothing in them was ever acknowledged."""
        for base_offset in self.bases[number:]:
            self._notes.append(
                f"{offset_path(self._path, base_offset, LOG_SUFFIX)}: removed: the segment before it "
                "lost its end in a crash, so nothing in it was acknowledged"
            )
            self._remove_segment(base_offset)
        del self.bases[number:]

    def _seal_scanned(self, start: int) -> None:
        """Segments that are no longer written were read from memory, maybe: put them on disk and say so."""
        if self._defects or not self._segments[start:-1]:
            return
        self._disk.sync_directory(self._path)  # a seal promises that a segment follows
        for segment in self._segments[start:-1]:
            if not is_sealed(self._disk, self._path, segment.base_offset):
                segment.file.sync()
                indexes: list[DiskFile] = []
                write_indexes(self._files, segment, indexes)
                for file in indexes:
                    file.sync()
                    file.close()
                seal(self._disk, segment)
                self._names_changed = True
            assert segment.index is not None
            segment.largest, segment.index = segment.index.largest, None
            self._flushed_end = max(self._flushed_end, segment.next_offset)

    # --- names ---

    def _offsets_of(self, suffix: str) -> list[int]:
        offsets = [offset_of(name, suffix) for name in self._names]
        return sorted(offset for offset in offsets if offset is not None)

    def _number_of(self, offset: int) -> int:
        """The segment that holds an offset."""
        return max((number for number, base in enumerate(self.bases) if base <= offset), default=0)

    def _unread_segment(self, number: int) -> Segment:
        base_offset = self.bases[number]
        path = offset_path(self._path, base_offset, LOG_SUFFIX)
        next_offset = self.bases[number + 1] if number + 1 < len(self.bases) else base_offset
        size = self._disk.file_size(path)
        return Segment(base_offset, self._files.open(path), size=size, next_offset=next_offset, index=None)

    def _add_defect(self, segment: Segment, defect: Defect) -> None:
        segment.defects = (*segment.defects, defect)
        self._note_defect(defect)

    def _note_defect(self, defect: Defect) -> None:
        self._defects.append(defect)
        self._notes.append(str(defect))

    def _remove_segment(self, base_offset: int) -> None:
        for suffix in SEGMENT_SUFFIXES:
            self._disk.remove_file(offset_path(self._path, base_offset, suffix))
        self._names_changed = True
