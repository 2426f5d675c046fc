"""The sparse time index of one segment: from where on a greater timestamp may be found. Pure.

An entry (T, offset) says: T is the greatest timestamp so far and the frame at `offset` brought it. So no
record before that frame has a timestamp above the entry before, which is all a search needs to know, even
where timestamps are out of order.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import NamedTuple

from streamkeep_broker.log.index_file import decode_index, encode_index

MAGIC = b"SKTI"
NO_TIMESTAMP = -1


class TimedFrame(NamedTuple):
    """A frame's greatest timestamp and its base offset. Timestamp -1: there is none."""

    timestamp_ms: int
    offset: int


class TimeIndex:
    """Entries with rising timestamps and offsets."""

    __slots__ = ("_offsets", "_timestamps", "base_offset")

    def __init__(self, base_offset: int) -> None:
        self.base_offset = base_offset
        self._timestamps = array("q")
        self._offsets = array("I")

    def __len__(self) -> int:
        return len(self._timestamps)

    def add(self, timestamp_ms: int, offset: int) -> None:
        """Note the greatest timestamp so far and its frame; nothing happens if that is known."""
        if not self._timestamps or timestamp_ms > self._timestamps[-1]:
            self._timestamps.append(timestamp_ms)
            self._offsets.append(offset - self.base_offset)

    @property
    def last(self) -> TimedFrame:
        return self._entry(len(self._timestamps) - 1)

    def before(self, timestamp_ms: int) -> TimedFrame:
        """The last entry below `timestamp_ms`: every record before its frame is earlier too."""
        return self._entry(bisect_left(self._timestamps, timestamp_ms) - 1)

    def encode(self, segment_bytes: int) -> bytes:
        """The index file for a segment of that size."""
        return encode_index(MAGIC, (self._timestamps, self._offsets), segment_bytes)

    @classmethod
    def decode(cls, data: bytes, base_offset: int, segment_bytes: int) -> TimeIndex:
        """Raises BrokenIndexError unless `data` is the whole index of a segment of that size."""
        index = cls(base_offset)
        index._timestamps, index._offsets = decode_index(MAGIC, "qI", data, segment_bytes)
        return index

    def _entry(self, number: int) -> TimedFrame:
        if number < 0:
            return TimedFrame(NO_TIMESTAMP, self.base_offset)
        return TimedFrame(self._timestamps[number], self.base_offset + self._offsets[number])
