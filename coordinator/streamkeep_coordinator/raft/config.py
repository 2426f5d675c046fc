"""What a Raft node is told once. Times are ticks: how long one lasts is the shell's business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

MIB = 1024 * 1024


class HardState(NamedTuple):
    """What must be durable before anything that follows from it leaves the node (thesis figure 3.1)."""

    term: int
    """The newest term this node knows of; 0 = none yet."""
    vote: int
    """Who has this node's vote in that term, or whom it follows in it; 0 = nobody."""
    committed_index: int
    """A hint that rides along with other writes: at least so much was committed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaftConfig:
    """Who the node is, and its limits. Pre-vote and check-quorum cannot be turned off: each is safe and live
    only with the other.
    """

    coordinator_id: int
    directory_id: bytes
    election_ticks: int = 12
    """Election timeouts are drawn from [election_ticks, 2 * election_ticks)."""
    heartbeat_ticks: int = 2
    max_append_bytes: int = 1 * MIB
    """Of the entries in one AppendRequest; at least one entry goes."""
    max_inflight_appends: int = 32
    """Unanswered appends to one follower whose log is known to agree; all but the first are full."""
    max_uncommitted_bytes: int = 32 * MIB
    """Of proposals that a leader holds without knowing whether they will ever be committed."""

    def __post_init__(self) -> None:
        assert self.coordinator_id >= 1
        assert len(self.directory_id) == 16
        assert 1 <= self.heartbeat_ticks < self.election_ticks
        assert min(self.max_append_bytes, self.max_inflight_appends, self.max_uncommitted_bytes) >= 1
