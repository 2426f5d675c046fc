"""Both indexes of one segment and what goes with them, kept up to date frame by frame.

An append, a recovery scan and the rebuilding of a lost index file all feed it in the same way. Pure but
for reading the frames of a file it is asked to catch up with.
"""

from __future__ import annotations

from streamkeep_broker.log.frame_walk import FrameWalk
from streamkeep_broker.log.offset_index import OffsetIndex
from streamkeep_broker.log.time_index import NO_TIMESTAMP, TimedFrame, TimeIndex
from streamkeep_common.seams import DiskFile


class SegmentIndex:
    """Offset index, time index, and the first and the greatest timestamp of a segment."""

    __slots__ = (
        "_unindexed_bytes",
        "first_timestamp_ms",
        "largest_timestamp_ms",
        "largest_timestamp_offset",
        "offsets",
        "times",
    )

    def __init__(self, offsets: OffsetIndex, times: TimeIndex) -> None:
        self.offsets = offsets
        self.times = times
        self.first_timestamp_ms = NO_TIMESTAMP
        """Greatest timestamp of the first frame; -1 in an empty segment, and where nobody needs it."""
        self.largest_timestamp_ms, self.largest_timestamp_offset = times.last
        self._unindexed_bytes = 0

    @classmethod
    def empty(cls, base_offset: int) -> SegmentIndex:
        return cls(OffsetIndex(base_offset), TimeIndex(base_offset))

    @property
    def largest(self) -> TimedFrame:
        """The frame with the greatest timestamp, the first of equals."""
        return TimedFrame(self.largest_timestamp_ms, self.largest_timestamp_offset)

    def note(
        self, base_offset: int, position: int, frame_bytes: int, timestamp_ms: int, *, interval_bytes: int
    ) -> None:
        """Take in the next frame; `timestamp_ms` is its greatest. An entry is made every `interval_bytes`."""
        if self._unindexed_bytes >= interval_bytes:
            self.mark(base_offset, position)
        self._unindexed_bytes += frame_bytes
        if timestamp_ms > self.largest_timestamp_ms:
            if self.first_timestamp_ms == NO_TIMESTAMP and position == 0:
                self.first_timestamp_ms = timestamp_ms
            self.largest_timestamp_ms = timestamp_ms
            self.largest_timestamp_offset = base_offset

    def mark(self, base_offset: int, position: int) -> None:
        """Make an entry for the frame that begins here, before it is noted."""
        self.offsets.add(base_offset, position)
        self.times.add(self.largest_timestamp_ms, self.largest_timestamp_offset)
        self._unindexed_bytes = 0

    def finish(self) -> None:
        """The time index must end with the greatest timestamp before it is written."""
        if self.largest_timestamp_ms > NO_TIMESTAMP:
            self.times.add(self.largest_timestamp_ms, self.largest_timestamp_offset)

    def catch_up(self, file: DiskFile, segment_bytes: int, *, interval_bytes: int) -> int:
        """Take in the frames behind the last entry; headers are verified, records are not.

        Returns the offset after the last frame. Raises BadFrameError. Blocking.
        """
        walk = FrameWalk(file, end=segment_bytes)
        next_offset, position = self.offsets.last
        if position and segment_bytes:
            self.first_timestamp_ms = walk.frame(0).header.largest_timestamp_ms
        for frame in walk.frames(position):
            header = frame.header
            self.note(
                header.base_offset,
                frame.position,
                header.frame_bytes,
                header.largest_timestamp_ms,
                interval_bytes=interval_bytes,
            )
            next_offset = header.next_offset
        return next_offset
