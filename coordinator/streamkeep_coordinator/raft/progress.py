"""How far one follower has come, as its leader knows, and what may be sent to it next.

  PROBE      where the logs part is not known: one append at a time, until it is answered
  REPLICATE  the log agrees: appends follow each other without waiting, a bounded number of them
  SNAPSHOT   entries that it needs are gone: nothing, until the shell has said what became of the snapshot

Knows neither the log nor messages.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum


class ProgressState(Enum):
    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


@dataclass(slots=True)
class Progress:
    """Begins as if everything before `next_index` were there, until the follower says otherwise."""

    directory_id: bytes
    next_index: int
    heard_tick: int
    match_index: int = 0
    """Durable there and equal to the leader's log up to here."""
    state: ProgressState = ProgressState.PROBE
    is_waiting: bool = False
    """PROBE: an append is out, or a snapshot has just gone there. The answer, or any sign of life, ends it.
    """
    is_stalled: bool = False
    """REPLICATE: it lives but has not got all that was sent: ask it once, something may be lost."""
    inflight: deque[int] = field(default_factory=deque)
    """REPLICATE: last index of each unanswered append."""
    committed_sent: int = 0
    """The newest commit index that was sent."""
    acked_round: int = 0
    """The newest round of heartbeats that it answered."""

    def may_send(self, max_inflight: int) -> bool:
        if self.state is ProgressState.REPLICATE:
            return self.is_stalled or len(self.inflight) < max_inflight
        return self.state is ProgressState.PROBE and not self.is_waiting

    def sent(self, last_index: int, committed_index: int) -> None:
        """An append up to `last_index` went out, with that commit index."""
        self.committed_sent = committed_index
        self.is_stalled = False
        if self.state is ProgressState.PROBE:
            self.is_waiting = True
        elif last_index >= self.next_index:
            self.inflight.append(last_index)
            self.next_index = last_index + 1

    def accepted(self, index: int, oldest_index: int) -> bool:
        """Its log is durable and agrees up to `index`; True if that is news. A late answer takes nothing
        back. `oldest_index` is the last one that the leader has no entry for.
        """
        is_news = index > self.match_index
        self.match_index = max(self.match_index, index)
        while self.inflight and self.inflight[0] <= index:
            self.inflight.popleft()
        if self._agrees(index, oldest_index):
            self._replicate()
        self.next_index = max(self.next_index, self.match_index + 1)
        return is_news

    def rejected(self, previous_index: int, agreed_index: int) -> None:
        """It has not got `previous_index`; the logs may agree up to `agreed_index`. A late refusal is
        ignored.
        """
        if self.state is ProgressState.REPLICATE:
            if previous_index > self.match_index:
                self.probe()
        elif self.state is ProgressState.PROBE and previous_index == self.next_index - 1:
            self.next_index = max(min(previous_index, agreed_index + 1), self.match_index + 1)
            self.is_waiting = False

    def alive(self, tick: int, *, round_number: int = 0) -> None:
        """Something was heard."""
        self.heard_tick = tick
        self.acked_round = max(self.acked_round, round_number)

    def heartbeat_answered(self) -> None:
        """It lives: what was sent before and is not answered yet may be lost."""
        self.is_waiting = False
        self.is_stalled = self.state is ProgressState.REPLICATE and self.match_index < self.next_index - 1

    def probe(self) -> None:
        """Back to where the logs are known to agree."""
        self.state = ProgressState.PROBE
        self.next_index = self.match_index + 1
        self._forget_sent()

    def lost_stream(self) -> None:
        """What is out may be lost; a snapshot has a stream of its own."""
        if self.state is ProgressState.REPLICATE:
            self.probe()

    def snapshot(self) -> None:
        self.state = ProgressState.SNAPSHOT
        self._forget_sent()

    def snapshot_sent(self, base_index: int, *, succeeded: bool) -> None:
        """The shell is done with it; what it installed, its own answer will tell."""
        if self.state is ProgressState.SNAPSHOT:
            self.probe()
            self.is_waiting = True
            if succeeded:
                self.next_index = max(self.match_index, base_index) + 1

    def _agrees(self, index: int, oldest_index: int) -> bool:
        if self.state is ProgressState.SNAPSHOT:
            return self.match_index >= oldest_index
        return self.state is ProgressState.PROBE and index >= self.next_index - 1

    def _replicate(self) -> None:
        self.state = ProgressState.REPLICATE
        self.next_index = self.match_index + 1
        self._forget_sent()

    def _forget_sent(self) -> None:
        self.inflight.clear()
        self.is_waiting = self.is_stalled = False
