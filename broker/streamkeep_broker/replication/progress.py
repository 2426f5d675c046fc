"""How far one follower is, as its leader knows it. Pure: offsets and the time come in."""

from __future__ import annotations

from typing import Literal

Durability = Literal["fsync", "os"]


class FollowerProgress:
    """What a follower has acknowledged under one registration of its broker, within one leader epoch.

    `caught_up_s` is the latest time known at which the follower had all that the leader's log had then
    (Kafka's lastCaughtUpTime). It is found with a mark: the leader's log end at some time; when the follower
    has reached that, it was caught up as of then, and the next mark is set. A new follower counts as caught
    up when it is first heard of: it gets as much time as any other.
    """

    __slots__ = (
        "_mark_offset",
        "_mark_s",
        "broker_epoch",
        "caught_up_s",
        "flushed_end_offset",
        "log_end_offset",
        "log_start_offset",
    )

    def __init__(
        self,
        broker_epoch: int,
        *,
        log_end_offset: int,
        flushed_end_offset: int,
        log_start_offset: int = 0,
        leader_end: int,
        now_s: float,
    ) -> None:
        self.broker_epoch = broker_epoch
        self.caught_up_s = now_s
        self.begin(
            log_end_offset,
            flushed_end_offset,
            log_start_offset=log_start_offset,
            leader_end=leader_end,
            now_s=now_s,
        )

    def begin(
        self,
        log_end_offset: int,
        flushed_end_offset: int,
        *,
        log_start_offset: int = 0,
        leader_end: int,
        now_s: float,
    ) -> None:
        """A new subscription. It may begin below what was acknowledged: the follower has lost that since."""
        self.log_start_offset = log_start_offset
        self.log_end_offset = log_end_offset
        self.flushed_end_offset = flushed_end_offset
        self._mark_offset = leader_end
        self._mark_s = now_s

    def acknowledge(self, log_end_offset: int, flushed_end_offset: int, log_start_offset: int = 0) -> None:
        """All three only rise within a subscription; an answer that came late takes nothing back."""
        self.log_start_offset = max(self.log_start_offset, log_start_offset)
        self.log_end_offset = max(self.log_end_offset, log_end_offset)
        self.flushed_end_offset = max(self.flushed_end_offset, flushed_end_offset)

    def acknowledged_end(self, durability: Durability) -> int:
        """Up to where it acknowledges, by the topic's durability: what is on its disk, or in its log."""
        return self.flushed_end_offset if durability == "fsync" else self.log_end_offset

    def look(self, acknowledged_end: int, *, leader_end: int, now_s: float) -> None:
        """Take note of when it was caught up. To be called after acknowledgements, and while all is idle."""
        if acknowledged_end >= leader_end:
            self.caught_up_s = now_s
        elif acknowledged_end >= self._mark_offset:
            self.caught_up_s = max(self.caught_up_s, self._mark_s)
        else:
            return
        self._mark_offset = leader_end
        self._mark_s = now_s
