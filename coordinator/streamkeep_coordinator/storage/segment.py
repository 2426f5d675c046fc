"""Segment files of the log: their names, and the frame that each begins with. Pure.

A segment is named by the index of its first entry and made in one step (written aside, flushed, renamed) with
a START frame, which says what comes before it: the entry that it follows, the hard state at that time, and
the *generation* of the log. The generation rises whenever a suffix of the log is taken back or the whole log
is replaced, so what such a change makes void is known from the START frame alone, also after a crash halfway:

  An entry at or after the first of a segment of a higher generation is void. So is a segment that follows one
  of a higher generation, and everything before a segment whose START says `replaces`: a snapshot.

A log of format 1 has segments without a START; they count as generation 0.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from streamkeep_coordinator.storage.frame import HEADER_BYTES, Frame, FrameKind, pack_frame
from streamkeep_coordinator.storage.hard_state import (
    HARD_STATE_BYTES,
    NOTHING_PROMISED,
    HardState,
    unpack_hard_state,
)

_NAME = re.compile(r"log-(\d{20})\.wal")
_MORE = struct.Struct("<QQ")  # generation, replaces
START_BYTES = HEADER_BYTES + HARD_STATE_BYTES + _MORE.size


@dataclass(frozen=True, slots=True)
class Start:
    """What a segment follows. `replaces`: nothing before it counts, a snapshot ends where it begins."""

    base_index: int
    base_term: int
    hard_state: HardState = NOTHING_PROMISED
    generation: int = 0
    replaces: bool = False

    @property
    def first(self) -> int:
        """Index of the segment's first entry."""
        return self.base_index + 1

    def pack(self) -> bytes:
        """The frame."""
        payload = self.hard_state.pack() + _MORE.pack(self.generation, self.replaces)
        return pack_frame(self.base_index, self.base_term, self.base_index, payload, kind=FrameKind.START)


def unpack_start(frame: Frame) -> Start:
    """What the frame says; struct.error if its payload is too short."""
    generation, replaces = _MORE.unpack_from(frame.payload, HARD_STATE_BYTES)
    return Start(
        frame.index, frame.term, unpack_hard_state(frame.payload), generation, replaces=bool(replaces)
    )


def segment_name(first: int) -> str:
    """Of the file with this first index."""
    return f"log-{first:020d}.wal"


def first_indexes(names: Iterable[str]) -> list[int]:
    """Of the segments among these names, in order."""
    return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))


def live_chain(starts: Iterable[Start]) -> list[Start]:
    """The segments that count, out of all in the order of their first index."""
    chain: list[Start] = []
    for start in starts:
        if chain and start.generation < chain[-1].generation:
            continue
        if start.replaces:
            chain.clear()
        chain.append(start)
    return chain
