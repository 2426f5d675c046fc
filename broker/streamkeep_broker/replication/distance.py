"""How far behind a follower is, in bytes. Pure arithmetic over a log's segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class SegmentSize(Protocol):
    """What is asked of a segment."""

    @property
    def base_offset(self) -> int: ...

    @property
    def next_offset(self) -> int: ...

    @property
    def size(self) -> int: ...


def bytes_after(segments: Sequence[SegmentSize], offset: int) -> int:
    """About how many bytes of the log stand at or past `offset`: within a segment the batches count as if
    they were of one size. That is near enough to choose a stream by, and costs no look at an index."""
    total = 0
    for segment in reversed(segments):
        if segment.base_offset < offset:
            offsets = segment.next_offset - segment.base_offset
            left = max(0, segment.next_offset - offset)
            return total + (segment.size * left // offsets if offsets else 0)
        total += segment.size
    return total
