"""Which segments a log no longer needs. Pure.

Whole segments, oldest first, up to the first that must stay: those below the log start, those whose
greatest timestamp is older than `retention_ms`, those that the log has above `retention_bytes`. Never one
that reaches past the high watermark. The size rule never takes the log below its limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

FOR_EVER = -1


class Extent(Protocol):
    """A segment, as far as these rules look at it."""

    @property
    def size(self) -> int: ...

    @property
    def next_offset(self) -> int: ...


def count_unneeded(
    segments: Sequence[Extent],
    largest_timestamp_ms: Callable[[int], int],
    *,
    now_ms: int,
    log_start_offset: int,
    high_watermark: int,
    retention_ms: int,
    retention_bytes: int,
) -> int:
    """How many of the segments, oldest first, may go. Both limits: -1 = none.

    `largest_timestamp_ms` tells of the segment with a number; it is asked of as few as possible, because
    the answer may cost a read.
    """
    excess = sum(segment.size for segment in segments) - retention_bytes
    for number, segment in enumerate(segments):
        excess -= segment.size
        if not segment.size or segment.next_offset > high_watermark:
            return number
        below_start = segment.next_offset <= log_start_offset
        too_large = retention_bytes != FOR_EVER and excess >= 0
        if below_start or too_large:
            continue
        if retention_ms == FOR_EVER or largest_timestamp_ms(number) >= now_ms - retention_ms:
            return number
    return len(segments)
