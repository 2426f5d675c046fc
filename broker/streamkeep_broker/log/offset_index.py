"""The sparse offset index of one segment: which frame stands at which byte. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import NamedTuple

from streamkeep_broker.log.index_file import decode_index, encode_index

MAGIC = b"SKOI"
MAX_RELATIVE_OFFSET = 2**32 - 1
"""Offsets are stored relative to the segment's base, in 32 bits."""


class FrameStart(NamedTuple):
    """Where a frame begins: its base offset, and bytes from the start of the file."""

    offset: int
    position: int


class OffsetIndex:
    """Some of a segment's frames, by rising offset and position. The segment's first needs no entry."""

    __slots__ = ("_offsets", "_positions", "base_offset")

    def __init__(self, base_offset: int) -> None:
        self.base_offset = base_offset
        self._offsets = array("I")
        self._positions = array("I")

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, offset: int, position: int) -> None:
        """Note that the frame with base offset `offset` begins at `position`; both greater than the last."""
        self._offsets.append(offset - self.base_offset)
        self._positions.append(position)

    @property
    def last(self) -> FrameStart:
        return self._entry(len(self._offsets) - 1)

    def floor(self, offset: int) -> FrameStart:
        """The last known frame that begins at or below `offset`."""
        return self._entry(bisect_right(self._offsets, offset - self.base_offset) - 1)

    def floor_within(self, position: int, offset: int) -> FrameStart:
        """The last known frame that begins at or below both a byte and an offset."""
        by_position = bisect_right(self._positions, position)
        by_offset = bisect_right(self._offsets, offset - self.base_offset)
        return self._entry(min(by_position, by_offset) - 1)

    def encode(self, segment_bytes: int) -> bytes:
        """The index file for a segment of that size."""
        return encode_index(MAGIC, (self._offsets, self._positions), segment_bytes)

    @classmethod
    def decode(cls, data: bytes, base_offset: int, segment_bytes: int) -> OffsetIndex:
        """Raises BrokenIndexError unless `data` is the whole index of a segment of that size."""
        index = cls(base_offset)
        index._offsets, index._positions = decode_index(MAGIC, "II", data, segment_bytes)
        return index

    def _entry(self, number: int) -> FrameStart:
        if number < 0:
            return FrameStart(self.base_offset, 0)
        return FrameStart(self.base_offset + self._offsets[number], self._positions[number])
