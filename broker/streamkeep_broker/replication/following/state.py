"""The state of one partition on its way to follow its leader. Pure: events in, one instruction out.

    WAITING ── its stream is open ──► STARTING ── the first push ──► FOLLOWING
       ▲                                 │ the logs part                 │ anything wrong
       │◄──────── it is cut ──────── CUTTING                             │
       │◄──────── the wait is over ─────────────────────────────────── BROKEN

A subscription is for one leader epoch. Whatever comes of another one, or of another epoch than the partition
is at, is dropped: a leader of the past must never write into a log again (KAFKA-18723).
"""

from __future__ import annotations

import random
from enum import Enum, auto
from typing import NamedTuple

from streamkeep_broker.replication.following.cuts import (
    BeginAnew,
    CutTo,
    FollowerLog,
    after_divergence,
    after_restart,
)
from streamkeep_common.errors import (
    CorruptLogError,
    DiskFullError,
    DiskStalledError,
    StorageFailedError,
    StreamkeepError,
    UnknownServerError,
    from_proto,
)
from streamkeep_common.retry import Backoff, RetryPolicy
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.replication_pb2 import FollowEnd

REFUSED = RetryPolicy(first_wait_ms=50, max_wait_ms=1_000)
"""After a refusal: most often one side's image is a moment behind the other's."""

DISK = RetryPolicy(first_wait_ms=500, max_wait_ms=1_000)
"""After trouble with the own disk."""

_DISK_TROUBLE = (DiskFullError, DiskStalledError, StorageFailedError)


class Lane(Enum):
    """One of the two streams to a leader's broker."""

    LIVE = "live"
    CATCH_UP = "catch-up"


class Phase(Enum):
    """Where a partition stands."""

    WAITING = auto()
    """For its stream."""
    STARTING = auto()
    """Asked to follow; not answered yet."""
    FOLLOWING = auto()
    CUTTING = auto()
    """Its log is being cut, on the disk's thread; nothing else may touch it."""
    BROKEN = auto()
    """Something is wrong: tried again after a wait or, if the log is damaged, when that was put right."""


class Join(NamedTuple):
    """Go to that stream, to be started there."""

    lane: Lane


class Wait(NamedTuple):
    """Try again after so many seconds, because of `reason`."""

    wait_s: float
    reason: StreamkeepError


class Damaged(NamedTuple):
    """The own log is corrupt. It stays as it is until it has been put right."""

    reason: StreamkeepError


Instruction = Join | CutTo | BeginAnew | Wait | Damaged


class FollowState:
    """See the module. Attributes are for reading. `leader_epoch` is the last that was followed."""

    def __init__(self, rng: random.Random) -> None:
        self.leader_epoch = 0
        self.phase = Phase.WAITING
        self.lane = Lane.LIVE
        self.subscription = 0
        """Number of the one under way; 0 = none."""
        self.follows = False
        """There is a leader to follow."""
        self.is_damaged = False
        """BROKEN because the own log is corrupt."""
        self.waits_for_disk = False
        """BROKEN because of the own disk, which is to be asked before anything is tried again."""
        self._refused = Backoff(REFUSED, rng)
        self._disk = Backoff(DISK, rng)

    # --- whom to follow ---

    def follow(self, leader_epoch: int) -> Join | None:
        """Follow the leader of this epoch, from the beginning; a cut under way is waited for."""
        assert leader_epoch >= self.leader_epoch, "leader epochs never go back"
        self.leader_epoch = leader_epoch
        self.lane = Lane.LIVE
        self.follows = True
        self._refused.reset()
        self._disk.reset()
        return self._wait_for_stream()

    def leave(self) -> None:
        """Follow nobody."""
        self.follows = False
        self._wait_for_stream()

    # --- its stream ---

    def start(self, subscription: int) -> None:
        """The stream is open, and this subscription is asked for on it."""
        assert self.follows and self.phase is Phase.WAITING and subscription > 0
        self.phase = Phase.STARTING
        self.subscription = subscription

    def takes(self, subscription: int, leader_epoch: int) -> bool:
        """Whether a push of this subscription is for the log of a partition that is at this leader epoch."""
        return subscription == self.subscription > 0 and leader_epoch == self.leader_epoch

    def took(self, *, frames: bool) -> None:
        """A push was taken; with frames it proves that all is well."""
        assert self.phase in {Phase.STARTING, Phase.FOLLOWING}
        self.phase = Phase.FOLLOWING
        if frames:
            self._refused.reset()
            self._disk.reset()

    def lost(self) -> None:
        """The stream broke; the next one starts it again."""
        assert self.phase in {Phase.STARTING, Phase.FOLLOWING}
        self._wait_for_stream()

    def ended(self, end: FollowEnd, log: FollowerLog) -> Instruction:
        """The leader has ended the subscription, and says what to do."""
        assert self.subscription
        try:
            return self._after(end, log)
        except StreamkeepError as error:
            return self._break(error, self._refused)

    def _after(self, end: FollowEnd, log: FollowerLog) -> Instruction:
        match end.WhichOneof("end"):
            case "error" if end.error.code != errors_pb2.NONE:
                raise from_proto(end.error)
            case "diverged":
                return self._cut(after_divergence(log, end.diverged))
            case "restart_offset":
                return self._cut(after_restart(log, end.restart_offset))
            case "behind" if self.lane is Lane.LIVE:
                return self._change_lane(Lane.CATCH_UP)
            case "caught_up" if self.lane is Lane.CATCH_UP:
                return self._change_lane(Lane.LIVE)
        raise UnknownServerError(f"the leader ended a {self.lane.value} subscription in a way unknown here")

    # --- what was carried out, and what went wrong ---

    def cut(self) -> Join | None:
        """The log is cut, or has begun anew."""
        assert self.phase is Phase.CUTTING
        self.phase = Phase.WAITING
        return Join(self.lane) if self.follows else None

    def failed(self, error: StreamkeepError) -> Wait | Damaged:
        """A push could not be taken, or the log could not be cut."""
        if isinstance(error, CorruptLogError):
            self._break(error, self._disk)
            self.is_damaged = True
            return Damaged(error)
        of_disk = isinstance(error, _DISK_TROUBLE)
        wait = self._break(error, self._disk if of_disk else self._refused)
        self.waits_for_disk = of_disk
        return wait

    def retry(self) -> Join:
        """The wait is over."""
        assert self.follows and self.phase is Phase.BROKEN and not self.is_damaged
        self._wait_for_stream()
        return Join(self.lane)

    def _break(self, reason: StreamkeepError, backoff: Backoff) -> Wait:
        self._wait_for_stream()
        self.phase = Phase.BROKEN
        return Wait(backoff.next_wait_s(), reason)

    def _wait_for_stream(self) -> Join | None:
        self.subscription = 0
        self.is_damaged = False
        self.waits_for_disk = False
        if self.phase is Phase.CUTTING:
            return None
        self.phase = Phase.WAITING
        return Join(self.lane)

    def _cut(self, cut: CutTo | BeginAnew) -> CutTo | BeginAnew:
        self.phase = Phase.CUTTING
        self.subscription = 0
        return cut

    def _change_lane(self, lane: Lane) -> Join:
        self.lane = lane
        self._wait_for_stream()
        return Join(lane)
