"""One segment: a file of frames from a base offset on, and where in it they stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from streamkeep_broker.log.segment_index import SegmentIndex
from streamkeep_broker.log.time_index import TimedFrame
from streamkeep_common.records.frame import FRAME_HEADER_BYTES, FrameHeader
from streamkeep_common.seams import DiskFile


class Defect(NamedTuple):
    """A place in a segment file that does not hold what was written there."""

    path: Path
    position: int
    """First byte, from the start of the file."""
    end_position: int
    """Where whole frames go on; the file's size if they do not."""
    offset: int
    """The first offset that cannot be read."""
    reason: str

    def __str__(self) -> str:
        return f"{self.path}, byte {self.position}, offset {self.offset}: {self.reason}"


class Segment:
    """Frames with offsets from `base_offset` to `next_offset` - 1, in `size` bytes.

    The last segment of a log always has its index in memory; older ones when they are searched.
    """

    __slots__ = ("base_offset", "defects", "file", "index", "largest", "next_offset", "size")

    def __init__(
        self, base_offset: int, file: DiskFile, *, size: int, next_offset: int, index: SegmentIndex | None
    ) -> None:
        self.base_offset = base_offset
        self.file = file
        self.size = size
        self.next_offset = next_offset
        self.index = index
        self.largest: TimedFrame | None = None
        """The frame with the greatest timestamp, once known, of a segment that is no longer written."""
        self.defects: tuple[Defect, ...] = ()

    @classmethod
    def empty(cls, base_offset: int, file: DiskFile) -> Segment:
        return cls(base_offset, file, size=0, next_offset=base_offset, index=SegmentIndex.empty(base_offset))

    @property
    def path(self) -> Path:
        return self.file.path

    def append(
        self, header: bytes, payload: bytes, *, next_offset: int, timestamp_ms: int, interval_bytes: int
    ) -> None:
        """Write one frame at the end; `timestamp_ms` is its greatest. After an OSError cut the file back."""
        index = self.index
        assert index is not None, "the segment that is written has its index"
        self.file.append((header, payload))
        frame_bytes = FRAME_HEADER_BYTES + len(payload)
        index.note(self.next_offset, self.size, frame_bytes, timestamp_ms, interval_bytes=interval_bytes)
        self.size += frame_bytes
        self.next_offset = next_offset

    def append_frames(self, frames: bytes, headers: Sequence[FrameHeader], *, interval_bytes: int) -> None:
        """Write whole frames at the end at once. After an OSError cut the file back."""
        index = self.index
        assert index is not None, "the segment that is written has its index"
        self.file.append((frames,))
        position = self.size
        for header in headers:
            frame_bytes = FRAME_HEADER_BYTES + header.records_bytes
            index.note(
                header.base_offset,
                position,
                frame_bytes,
                header.largest_timestamp_ms,
                interval_bytes=interval_bytes,
            )
            position += frame_bytes
        assert position == self.size + len(frames)
        self.size = position
        self.next_offset = headers[-1].next_offset

    def defect_at(self, position: int) -> Defect | None:
        """What is known to be wrong at a byte."""
        for defect in self.defects:
            if defect.position <= position < defect.end_position:
                return defect
        return None
