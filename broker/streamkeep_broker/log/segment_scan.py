"""Reads all of one segment, frame by frame, and finds what is wrong with it. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from streamkeep_broker.log.frame_walk import SCAN_CHUNK_BYTES, BadFrameError, Frame, FrameWalk
from streamkeep_common.seams import DiskFile
from streamkeep_proto.v1.records_pb2 import RecordBatch


class Damage(NamedTuple):
    """Bytes that are not the frames that should be there."""

    position: int
    end_position: int
    """Where the next valid frame begins, or the end of the file."""
    offset: int
    """The offset that was expected here."""
    reason: str
    is_short: bool
    """It is the beginning of a frame of which the end is missing."""
    following: Frame | None
    """A frame with a valid header and that offset or a later one, found behind."""


class SegmentScan:
    """One pass over a segment. Frames must follow each other without a gap in offsets, with whole records,
    and leader epochs must not go back. Blocking; raises OSError.
    """

    def __init__(self, file: DiskFile, *, size: int, base_offset: int) -> None:
        self._walk = FrameWalk(file, end=size, chunk_bytes=SCAN_CHUNK_BYTES)
        self._size = size
        self._leader_epoch = 0
        self.offset = base_offset
        """The offset that comes next."""

    def items(self) -> Iterator[Frame | Damage]:
        """Good frames and damages, in order. Stop asking after a damage to stop there."""
        position = 0
        while position < self._size:
            try:
                frame = self._check_frame(position)
            except BadFrameError as bad:
                damage = self._examine(bad)
                yield damage
                position = damage.end_position
                self._resume(damage)
                continue
            self.offset = frame.header.next_offset
            self._leader_epoch = frame.header.leader_epoch
            position = frame.end
            yield frame

    def batch(self, frame: Frame) -> RecordBatch:
        """The frame that was yielded last, as a message."""
        return self._walk.batch(frame)

    def _check_frame(self, position: int) -> Frame:
        frame = self._walk.frame(position)
        header = frame.header
        if header.base_offset != self.offset:
            reason = f"offset {self.offset} should begin here, the frame has {header.base_offset}"
            raise BadFrameError(position, reason, header)
        if header.leader_epoch < self._leader_epoch:
            reason = f"leader epoch {header.leader_epoch} after {self._leader_epoch}"
            raise BadFrameError(position, reason, header)
        self._walk.payload(frame)
        return frame

    def _examine(self, bad: BadFrameError) -> Damage:
        following = self._walk.find_header(self._search_start(bad), min_offset=self.offset)
        end_position = self._size if following is None else following.position
        return Damage(bad.position, end_position, self.offset, bad.reason, bad.is_short, following)

    def _search_start(self, bad: BadFrameError) -> int:
        """A header that is right says where its frame ends: what records hold must not look like frames."""
        header = bad.header
        if header is None:
            return bad.position + 1
        if header.base_offset > self.offset:
            return bad.position
        return bad.position + header.frame_bytes

    def _resume(self, damage: Damage) -> None:
        if damage.following is not None:
            self.offset = damage.following.header.base_offset
            self._leader_epoch = min(self._leader_epoch, damage.following.header.leader_epoch)
