"""Who leaves the in-sync set, who joins it, and what of that is under way. Pure: events and time come in.

The leader proposes, the coordinator commits by compare-and-set on the partition epoch (KIP-497), and only an
image that says so makes it true. One proposal is in flight at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Candidate(NamedTuple):
    """One replica other than the leader's, as the leader sees it now."""

    broker_id: int
    live: bool
    """Registered and not fenced, as far as the leader's image knows."""
    has_good_directory: bool
    """By the image it is neither gone nor stalled nor full. The coordinator refuses a proposal as a whole, so
    one that it would not let in must not keep others from joining, or from leaving."""
    follows: bool
    """It has a subscription here, under the current registration of its broker."""
    acknowledged_end: int | None
    """None = it has not been heard of in this leader epoch."""
    caught_up_s: float


class IsrRules(NamedTuple):
    """What candidates are held against."""

    leader_end: int
    joining_end: int
    """Who joins must have this: the high watermark, and the start of the leader epoch if that is greater."""
    now_s: float
    replica_lag_s: float

    def may_stay(self, candidate: Candidate) -> bool:
        """It has everything, or had everything not long ago."""
        if not candidate.live:
            return False
        if candidate.acknowledged_end is not None and candidate.acknowledged_end >= self.leader_end:
            return True
        return self.now_s - candidate.caught_up_s <= self.replica_lag_s

    def may_join(self, candidate: Candidate) -> bool:
        """It has all that was acknowledged. Counted from now on, nothing is acknowledged that it lacks."""
        end = candidate.acknowledged_end
        is_fit = candidate.live and candidate.has_good_directory and candidate.follows
        return is_fit and end is not None and end >= self.joining_end


class IsrChanges:
    """The committed in-sync set of a partition and the proposals made on it.

    `additions` count for the high watermark from before the call is made. They stop to count when the image
    has a greater partition epoch, or when the only attempt on this one was refused. Once the outcome of an
    attempt is not known, all additions of all attempts on this partition epoch count until the image moves,
    and the leader goes on proposing, if need be what is committed already: whichever attempt is accepted
    raises the partition epoch, so that none of the others can be accepted after it.
    """

    def __init__(self, leader_id: int, committed: Sequence[int], partition_epoch: int) -> None:
        self._leader_id = leader_id
        self.committed = tuple(committed)
        self.partition_epoch = partition_epoch
        self.additions: tuple[int, ...] = ()
        self.in_flight = False
        self._unsettled = False

    def commit(self, committed: Sequence[int], partition_epoch: int) -> None:
        """The image says so. With a greater partition epoch no older proposal can come true any more."""
        assert partition_epoch >= self.partition_epoch, "partition epochs never go back"
        self.committed = tuple(committed)
        if partition_epoch == self.partition_epoch:
            return
        self.partition_epoch = partition_epoch
        self.additions = ()
        self.in_flight = self._unsettled = False

    def wanted(
        self, candidates: Iterable[Candidate], rules: IsrRules, *, completes_move: bool = False
    ) -> tuple[int, ...] | None:
        """The whole set to propose now, in the candidates' order after the leader; None = nothing.

        `completes_move`: a reassignment waits for nothing but that somebody says so.
        """
        if self.in_flight:
            return None
        members = tuple(
            each.broker_id
            for each in candidates
            if (rules.may_stay(each) if each.broker_id in self.committed else rules.may_join(each))
        )
        wanted = (self._leader_id, *members)
        changed = frozenset(wanted) != frozenset(self.committed)
        return wanted if changed or self._unsettled or completes_move else None

    def proposed(self, members: Sequence[int]) -> None:
        """A proposal is about to be sent."""
        assert not self.in_flight, "one proposal at a time"
        self.in_flight = True
        new = tuple(each for each in members if each not in self.committed and each not in self.additions)
        self.additions += new

    def refused(self) -> None:
        """The attempt in flight has not been carried out and never will be."""
        if not self.in_flight:
            return  # the image has moved meanwhile
        self.in_flight = False
        if not self._unsettled:
            self.additions = ()

    def unknown(self) -> None:
        """Nobody can say whether the attempt in flight was or will be carried out."""
        if not self.in_flight:
            return
        self.in_flight = False
        self._unsettled = True
