"""Reads a log's segments after a crash, and decides of all damage whether it is torn or corrupt.

What is torn is cut, with all that follows it; what is corrupt is kept, named, and stepped over. Knows
nothing of how a log begins, nor of what becomes of it afterwards. Blocking; raises OSError.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from streamkeep_broker.log.frame_walk import Frame
from streamkeep_broker.log.recovered_files import RecoveredFiles
from streamkeep_broker.log.recovered_states import RecoveredStates
from streamkeep_broker.log.segment import Defect, Segment
from streamkeep_broker.log.segment_index import SegmentIndex
from streamkeep_broker.log.segment_scan import Damage, SegmentScan


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
class Findings:
    """What was wrong with a log, and what was done about it."""

    defects: list[Defect] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences for the server's log."""

    def add_defect(self, defect: Defect, segment: Segment | None = None) -> None:
        """Name what is corrupt; `segment` will give out nothing from there."""
        if segment is not None:
            segment.defects = (*segment.defects, defect)
        self.defects.append(defect)
        self.notes.append(str(defect))


class LogScan:
    """One reading of a log's segments, to its end or to what is torn.

    `floor`: what is below was on disk. `same_boot`: the machine has run on since the log was written.
    """

    def __init__(
        self,
        files: RecoveredFiles,
        states: RecoveredStates,
        findings: Findings,
        *,
        floor: int,
        same_boot: bool,
        interval_bytes: int,
    ) -> None:
        self._files = files
        self._states = states
        self._findings = findings
        self._floor = floor
        self._same_boot = same_boot
        self._interval_bytes = interval_bytes
        self.segments: list[Segment] = []
        """All that the log has, read or not."""
        self.flushed_end_offset = floor

    def run(self, recovery_point: int) -> None:
        """Read every segment that reaches above the recovery point, or that states must be rebuilt from."""
        start = self._choose_start(recovery_point)
        self.segments = [self._files.unread_segment(number) for number in range(start)]
        for number in range(start, len(self._files.bases)):
            if not self._scan_segment(number):
                self._drop_segments(number + 1)
                break
        self._seal(self.segments[start:-1])

    def _choose_start(self, recovery_point: int) -> int:
        """The number of the first segment to read: the epochs and a snapshot must be known as of its base."""
        start = self._files.number_of(recovery_point)
        if not self._states.read_epochs():
            start = 0
        while not self._states.read_snapshot(self._files.bases[start]) and start > 0:
            start -= 1
        return start

    def _scan_segment(self, number: int) -> bool:
        """False if the log ends here, because the rest was torn."""
        bases = self._files.bases
        if self.segments and not self._joins(self.segments[-1], bases[number]):
            self._drop_segments(number)
            return False
        segment = self._files.unread_segment(number)
        segment.index = SegmentIndex.empty(segment.base_offset)
        self.segments.append(segment)
        scan = SegmentScan(segment.file, size=segment.size, base_offset=segment.base_offset)
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
        is_last = number == len(bases) - 1
        segment.next_offset = scan.offset if is_last or not segment.defects else bases[number + 1]
        return True

    def _joins(self, before: Segment, base_offset: int) -> bool:
        """Whether the log goes on at `base_offset`; a gap is torn or a defect, as any damage is."""
        offset = before.next_offset
        if offset == base_offset:
            return True
        if self._is_torn(before, offset=offset, followed=base_offset < offset, short=True):
            return False
        reason = f"offset {offset} should follow, but the next file begins with {base_offset}"
        self._findings.add_defect(Defect(before.path, before.size, before.size, offset, reason), before)
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
        bases = self._files.bases
        return is_torn_tail(
            offset=offset,
            floor=self._floor,
            followed=followed,
            sealed=any(self._files.is_sealed(base) for base in bases if base >= segment.base_offset),
            short=short,
            same_boot=self._same_boot,
        )

    def _keep(self, segment: Segment, damage: Damage) -> None:
        """Corruption: name it, and make what follows it findable."""
        assert segment.index is not None
        defect = Defect(segment.path, damage.position, damage.end_position, damage.offset, damage.reason)
        self._findings.add_defect(defect, segment)
        if damage.following is not None:
            segment.index.mark(damage.following.header.base_offset, damage.end_position)

    def _cut(self, segment: Segment, damage: Damage) -> None:
        lost = segment.size - damage.position
        self._findings.notes.append(
            f"{segment.path}: cut {lost} bytes at byte {damage.position}, offset {damage.offset}: a write "
            f"that a crash left unfinished ({damage.reason})"
        )
        segment.file.truncate(damage.position)
        segment.file.sync()
        segment.size, segment.next_offset = damage.position, damage.offset

    def _drop_segments(self, number: int) -> None:
        """They follow a torn tail, so nothing in them was ever acknowledged."""
        for base_offset in self._files.bases[number:]:
            self._findings.notes.append(
                f"{self._files.path_of(base_offset)}: removed: the segment before it "
                "lost its end in a crash, so nothing in it was acknowledged"
            )
            self._files.remove_segment(base_offset)
        del self._files.bases[number:]

    def _seal(self, scanned: list[Segment]) -> None:
        """Segments that are no longer written were read from memory, maybe: put them on disk and say so."""
        if self._findings.defects or not scanned:
            return
        self._files.sync_names()  # a seal promises that a segment follows
        for segment in scanned:
            self._files.seal(segment)
            assert segment.index is not None
            segment.largest, segment.index = segment.index.largest, None
            self.flushed_end_offset = max(self.flushed_end_offset, segment.next_offset)
