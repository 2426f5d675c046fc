"""A partition's promises over the logs of all its replicas: those of Kafka's TLA+ model (KIP-966), and more.

  ONE_LEADER          a leader epoch has one leader at most
  LOG_MATCHING        frames of one epoch and offset are the same bytes, and follow the same history
  COMMITTED           what is below the high watermark of one replica is the same below that of every other
  COMPLETENESS        whoever leads has all that was committed in earlier epochs
  CANDIDATES          every in-sync or eligible replica keeps all that is committed
  CUT                 nothing that is committed is cut off
  MONOTONIC           the high watermark of a process never goes back
  DURABLE             what a replica has acknowledged is there after every start

By log matching a frame stands for all before it. So the questions are answered by comparing single frames,
and an event costs as much as it changes.

Losses that the design allows are no violation, and have a name: they are declared when somebody leads who
lacks what was committed, and only if nobody who might have led instead has it. What did that is damage to
disks, or the election that an operator forced.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

from tests.sim.replication.replica import Frame, Replica
from tests.sim.violation import InvariantError, require

ONE_LEADER = "one leader an epoch"
LOG_MATCHING = "replicas are identical byte for byte"
COMMITTED = "what is committed never changes"
COMPLETENESS = "a leader has all that is committed"
CANDIDATES = "every in-sync or eligible replica keeps all that is committed"
CUT = "nothing that is committed is cut off"
MONOTONIC = "high watermarks never go back"
DURABLE = "what a replica acknowledged is kept"

_base_offset = attrgetter("base_offset")


class Election(NamedTuple):
    """Who leads from an epoch on, and who might have led instead: in sync, eligible or last of these."""

    leader: int
    candidates: tuple[int, ...]
    forced: bool = False
    """An operator wanted a leader, whatever it lacks."""
    last_resort: bool = False
    """Nobody was in sync or eligible any more."""


class Loss(NamedTuple):
    """Offsets that were committed and are not what they were, and what allowed that."""

    from_offset: int
    to_offset: int
    reason: str


class PartitionHistory:
    """What the replicas of a partition have ever held together, and what of it is committed.

    `note` is told what happens; `on_loss` of losses that are allowed.
    """

    def __init__(
        self, name: str, note: Callable[[str, str], None], on_loss: Callable[[PartitionHistory, Loss], None]
    ) -> None:
        self.name = name
        self.replicas: dict[int, Replica] = {}
        self.committed_end = 0
        self.log_start = 0
        """The greatest log start that any replica has had."""
        self.losses: list[Loss] = []
        self.leader_epoch = 0
        """The newest that was committed."""
        self._note = note
        self._on_loss = on_loss
        self._frames: dict[tuple[int, int], Frame] = {}
        self._before: dict[tuple[int, int], int] = {}
        """By epoch and offset of a frame, the epoch of the frame before it."""
        self._committed: list[Frame] = []
        self._committed_in: list[int] = []
        """For each of them, the epoch of whoever committed it; rising."""
        self._elections: dict[int, Election] = {}
        self._leaders: dict[int, str] = {}
        self._may_lack = False
        """Somebody was elected who may lack what is committed, and has not been seen to lead yet."""
        self._leading: dict[int, int] = {}
        """By broker, the epoch in which its process leads."""

    def replica(self, broker_id: int) -> Replica:
        if broker_id not in self.replicas:
            self.replicas[broker_id] = Replica(f"{self.name} on {broker_id}", broker_id)
        return self.replicas[broker_id]

    # --- what logs hold ---

    def extend(self, replica: Replica, frames: Sequence[Frame]) -> None:
        """A replica has more frames than before."""
        for frame in frames:
            self._place(replica.last, frame, replica.name)
            replica.extend((frame,))

    def _place(self, before: Frame | None, frame: Frame, who: str) -> None:
        key = (frame.leader_epoch, frame.base_offset)
        known = self._frames.setdefault(key, frame)
        if known != frame:
            raise InvariantError(LOG_MATCHING, f"{who} has another frame {key}: {frame}, not {known}")
        if before is None:
            return
        epoch = self._before.setdefault(key, before.leader_epoch)
        if epoch != before.leader_epoch or before.leader_epoch > frame.leader_epoch:
            raise InvariantError(
                LOG_MATCHING, f"{who} has frame {key} behind one of epoch {before.leader_epoch}, not {epoch}"
            )

    def cut(self, replica: Replica, end_offset: int) -> None:
        """A replica has cut its log."""
        self._note("truncated", f"{replica.name} to {end_offset}")
        self._require_uncommitted(replica, replica.cut(end_offset))
        self._lower_watermark(replica, end_offset)

    def begin(self, replica: Replica, offset: int) -> None:
        """A replica has dropped everything and begins at an offset."""
        self._note("begun anew", f"{replica.name} at {offset}, from {replica.end_offset}")
        if replica.is_damaged:
            replica.start_over(offset)
            return
        gone = replica.begin(offset)
        self._require_uncommitted(replica, [frame for frame in gone if frame.base_offset >= offset])
        require(
            offset <= self.log_start or self._is_lost(offset),
            CUT,
            f"{replica.name} begins at {offset}, and no log starts above {self.log_start}",
        )
        self._lower_watermark(replica, offset)

    def _require_uncommitted(self, replica: Replica, gone: Iterable[Frame]) -> None:
        for frame in gone:
            if frame.next_offset > self.log_start and self.is_committed(frame):
                raise InvariantError(CUT, f"{replica.name} drops {frame[:3]}, which is committed")

    def _lower_watermark(self, replica: Replica, offset: int) -> None:
        if replica.high_watermark > offset:
            require(
                offset >= self.committed_end
                or replica.high_watermark <= self.log_start
                or self._is_lost(offset),
                MONOTONIC,
                f"{replica.name} goes from high watermark {replica.high_watermark} back to {offset}",
            )
            replica.high_watermark = offset

    def _is_lost(self, offset: int) -> bool:
        return any(loss.from_offset <= offset for loss in self.losses)

    def is_committed(self, frame: Frame) -> bool:
        number = bisect_left(self._committed, frame.base_offset, key=_base_offset)
        return number < len(self._committed) and self._committed[number] == frame

    def restart(self, replica: Replica, frames: Sequence[Frame], *, acknowledged_end: int) -> None:
        """A process has opened what its predecessor left; that had acknowledged up to an offset."""
        promised = replica.frame_at(acknowledged_end - 1)
        kept = [frame for frame in frames if frame.next_offset == acknowledged_end]
        if promised is not None and promised.next_offset > self.log_start and replica.is_trusted:
            require(
                promised in kept,
                DURABLE,
                f"{replica.name} acknowledged {promised[:3]} and starts with "
                f"{frames[-1][:3] if frames else 'nothing'}",
            )
        replica.acknowledged_end = 0 if replica.is_damaged or replica.is_retired else acknowledged_end
        replica.certain_end = None
        replica.frames.clear()
        replica.high_watermark = 0
        replica.start_offset = frames[0].base_offset if frames else replica.start_offset
        self.extend(replica, frames)

    # --- who leads ---

    def elect(self, leader_epoch: int, election: Election) -> None:
        """It is committed who leads in an epoch."""
        self.leader_epoch = leader_epoch
        self._elections[leader_epoch] = election
        self._may_lack = self._may_lack or election.forced or election.last_resort

    def lead(self, replica: Replica, leader_epoch: int) -> None:
        """A process leads from now on."""
        self._leading[replica.broker_id] = leader_epoch
        self._may_lack = self._may_lack and leader_epoch < self.leader_epoch
        first = self._leaders.setdefault(leader_epoch, replica.name)
        require(first == replica.name, ONE_LEADER, f"{first} and {replica.name} lead in epoch {leader_epoch}")
        election = self._elections.get(leader_epoch)
        require(
            election is not None and election.leader == replica.broker_id,
            ONE_LEADER,
            f"{replica.name} leads in epoch {leader_epoch}: it was not elected",
        )
        earlier = bisect_left(self._committed_in, leader_epoch)
        if earlier and not replica.has(self._committed[earlier - 1]):
            self._account_for(replica, leader_epoch, earlier)

    def leads_in(self, broker_id: int, leader_epoch: int) -> bool:
        """It is known that the broker's process leads in that epoch."""
        return self._leading.get(broker_id) == leader_epoch

    def epoch_led_by(self, broker_id: int) -> int:
        """In which epoch the broker's process leads; 0 = in none."""
        return self._leading.get(broker_id, 0)

    def assign(self, broker_ids: Sequence[int]) -> None:
        """These have a replica. The logs of others go; who gets one again begins it anew."""
        for broker_id, replica in self.replicas.items():
            if replica.is_retired and broker_id in broker_ids:
                replica.acknowledged_end = 0
            replica.is_retired = broker_id not in broker_ids

    def leads_no_more(self, broker_id: int) -> None:
        """Because it resigned, or because its process has died."""
        self._leading.pop(broker_id, None)

    def _account_for(self, leader: Replica, leader_epoch: int, earlier: int) -> None:
        """The leader lacks some of the first so many committed frames: whatever allows that is named."""
        while earlier and not leader.has(self._committed[earlier - 1]):
            earlier -= 1
        missing = self._committed[earlier]
        election = self._elections[leader_epoch]
        told = f"{leader.name} leads in epoch {leader_epoch} and lacks {missing[:3]}"
        reasons = [
            f"{kind} of broker {replica.broker_id}"
            for replica in self.replicas.values()
            if replica.reached_before_damage >= missing.next_offset
            for kind in replica.damages[-1:]
        ]
        if election.forced:
            reasons.insert(0, "forced election")
        else:
            others = [each for each in election.candidates if self.replica(each).keeps(missing)]
            require(not others, COMPLETENESS, f"{told}, which {others} might have led with")
        require(reasons, COMPLETENESS, f"{told}, and nothing has happened that allows it")
        self._lose(missing.base_offset, "; ".join(reasons))

    def _lose(self, offset: int, reason: str) -> None:
        loss = Loss(offset, self.committed_end, reason)
        self._note("allowed loss", f"{self.name} {offset} to {self.committed_end}: {reason}")
        kept = bisect_left(self._committed, offset, key=_base_offset)
        del self._committed[kept:], self._committed_in[kept:]
        self.committed_end = offset
        self.losses.append(loss)
        self._on_loss(self, loss)

    # --- what is committed ---

    def commit(self, replica: Replica, end_offset: int, leader_epoch: int) -> None:
        """A leader's high watermark moves."""
        self._raise_watermark(replica, end_offset)
        if end_offset <= self.committed_end:
            return
        number = bisect_right(replica.frames, self.committed_end, key=_base_offset)
        number -= bool(number and replica.frames[number - 1].next_offset > self.committed_end)
        for frame in replica.frames[number:]:
            if frame.next_offset > end_offset:
                break
            self._committed.append(frame)
            self._committed_in.append(max([leader_epoch, *self._committed_in[-1:]]))
        self.committed_end = end_offset
        self._require_newer_leaders_have_it(leader_epoch)

    def _require_newer_leaders_have_it(self, leader_epoch: int) -> None:
        for broker_id, epoch in self._leading.items():
            if epoch > leader_epoch and self._committed:
                require(
                    self.replicas[broker_id].has(self._committed[-1]),
                    COMPLETENESS,
                    f"{self.name}: broker {broker_id} leads in epoch {epoch} and lacks "
                    f"{self._committed[-1][:3]}, committed in epoch {leader_epoch}",
                )

    def follow(self, replica: Replica, end_offset: int) -> None:
        """A follower's high watermark moves."""
        self._raise_watermark(replica, end_offset)
        require(
            end_offset <= max(self.committed_end, replica.start_offset) or self.losses,
            COMMITTED,
            f"{replica.name} has high watermark {end_offset}, and {self.committed_end} is committed",
        )

    def _raise_watermark(self, replica: Replica, end_offset: int) -> None:
        require(
            end_offset >= replica.high_watermark,
            MONOTONIC,
            f"{replica.name} goes from high watermark {replica.high_watermark} back to {end_offset}",
        )
        replica.high_watermark = end_offset
        frame = replica.frame_at(min(end_offset, self.committed_end) - 1)
        if frame is not None and not self.losses:
            require(
                self.is_committed(frame),
                COMMITTED,
                f"{replica.name} has {frame[:3]} below its high watermark {end_offset}: something else is "
                "committed there",
            )

    def require_candidates(self, members: Iterable[int]) -> None:
        """These are in sync or eligible, and any of them may be elected next."""
        if not self._committed or self._may_lack:
            return
        newest = self._committed[-1]
        for broker_id in members:
            replica = self.replica(broker_id)
            if replica.is_trusted and newest.next_offset > self.log_start and not replica.keeps(newest):
                raise InvariantError(
                    CANDIDATES,
                    f"{replica.name} acknowledged {replica.acknowledged_end} of {replica.end_offset} and may "
                    f"be elected without {newest[:3]}",
                )
