"""What one broker holds of one partition, through all its processes; and what it has promised to hold.

Frames stand for themselves: leader epoch and base offset name one, its digest says whether it is the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from operator import attrgetter
from typing import NamedTuple

_base_offset = attrgetter("base_offset")


class Frame(NamedTuple):
    """One frame of a log, with the digest of its bytes."""

    base_offset: int
    next_offset: int
    leader_epoch: int
    digest: bytes


class Replica:
    """The frames from `start_offset` to `end_offset`, of which those below `acknowledged_end` were promised.

    `damages` are what happened to its disk that no promise covers, oldest first; `is_damaged` until that is
    known: the broker has registered with a new directory, or has put aside what it found damaged.
    """

    def __init__(self, name: str, broker_id: int) -> None:
        self.name = name
        self.broker_id = broker_id
        self.frames: list[Frame] = []
        self.start_offset = 0
        self.acknowledged_end = 0
        self.certain_end: int | None = None
        """While it is being cut: from where on nobody can say what of it a start will find."""
        self.high_watermark = 0
        self.damages: list[str] = []
        self.is_damaged = False
        self.is_known_by_registration = False
        self.is_retired = False
        """The broker has no replica any more, though it may not know that yet."""
        self.reached_before_damage = 0
        """How far it acknowledged before it was damaged last."""

    @property
    def end_offset(self) -> int:
        return self.frames[-1].next_offset if self.frames else self.start_offset

    @property
    def kept_end(self) -> int:
        """Up to where a start must find what was acknowledged."""
        return (
            self.acknowledged_end
            if self.certain_end is None
            else min(self.acknowledged_end, self.certain_end)
        )

    @property
    def is_trusted(self) -> bool:
        """Its promises count."""
        return not self.is_damaged and not self.is_retired

    @property
    def last(self) -> Frame | None:
        return self.frames[-1] if self.frames else None

    def frame_at(self, offset: int) -> Frame | None:
        """The frame that contains an offset."""
        number = bisect_left(self.frames, offset + 1, key=_base_offset) - 1
        if number < 0 or self.frames[number].next_offset <= offset:
            return None
        return self.frames[number]

    def before(self, frame: Frame) -> Frame | None:
        """The frame before one that it holds."""
        number = bisect_left(self.frames, frame.base_offset, key=_base_offset)
        return self.frames[number - 1] if number else None

    def has(self, frame: Frame) -> bool:
        """It holds the frame, or needs it no more because it begins above it."""
        if frame.next_offset <= self.start_offset:
            return True
        held = self.frame_at(frame.next_offset - 1)
        return held is not None and held[2:] == frame[2:]

    def keeps(self, frame: Frame) -> bool:
        """It has acknowledged the frame, so it is there whatever happens but damage."""
        return self.has(frame) and max(self.acknowledged_end, self.start_offset) >= frame.next_offset

    def extend(self, frames: Iterable[Frame]) -> None:
        """More frames, the first at its end."""
        for frame in frames:
            assert frame.base_offset >= self.end_offset or not self.frames, f"{self.name}: {frame} overlaps"
            self.frames.append(frame)

    def cut(self, end_offset: int) -> list[Frame]:
        """Without what reaches over an offset; gives what that was."""
        kept = len(self.frames)
        while kept and self.frames[kept - 1].next_offset > end_offset:
            kept -= 1
        gone = self.frames[kept:]
        del self.frames[kept:]
        self.acknowledged_end = min(self.acknowledged_end, end_offset)
        return gone

    def begin(self, offset: int) -> list[Frame]:
        """Empty, from an offset on; gives what was there."""
        gone, self.frames = self.frames, []
        self.start_offset = self.acknowledged_end = offset
        return gone

    def damage(self, kind: str, *, until_registered: bool) -> None:
        """What it has is not what it was: known when its broker registers, or when somebody finds it."""
        self.damages.append(kind)
        self.is_damaged = True
        self.is_known_by_registration = until_registered
        self.reached_before_damage = max(self.reached_before_damage, self.acknowledged_end)

    def found_damaged(self) -> None:
        """A process has opened it and seen that it is corrupt: so it stays until that is put aside."""
        self.is_damaged = True
        self.is_known_by_registration = False
        self.high_watermark = 0

    def empty(self) -> None:
        """Its disk is."""
        self.begin(0)
        self.high_watermark = 0

    def registered(self) -> None:
        """Its broker has said what it has got, and what not."""
        if self.is_known_by_registration:
            self.is_damaged = False

    def start_over(self, offset: int) -> None:
        """What was damaged was put aside."""
        self.reached_before_damage = max(self.reached_before_damage, self.acknowledged_end)
        self.begin(offset)
        self.high_watermark = 0
        self.is_damaged = False
