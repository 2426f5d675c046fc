"""Three replicas of one partition as plain lists, whose followers act by the shipping rules.

Time is the order of calls. What a leader sends stays on its way until it is delivered, however late; disks
take what they are asked to when they are told to; and any process may lose what its disk has not taken.
"""

from __future__ import annotations

import random
from collections import deque
from typing import NamedTuple

from streamkeep_broker.log.leader_epochs import EpochEnd, LeaderEpochs
from streamkeep_broker.replication import start_check
from streamkeep_broker.replication.following.cuts import BeginAnew, CutTo
from streamkeep_broker.replication.following.state import FollowState, Instruction, Join, Phase, Wait
from streamkeep_broker.replication.in_sync import least_acknowledged_end
from streamkeep_proto.v1.replication_pb2 import EpochEndOffset, FollowEnd, FollowStart, ReplicaPush


class Frame(NamedTuple):
    base_offset: int
    next_offset: int
    leader_epoch: int
    value: int


class ModelLog:
    """A log of frames. It keeps what it has flushed, whatever happens."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.log_start_offset = 0
        self.log_end_offset = 0
        self.flushed_end_offset = 0
        self.high_watermark = 0
        self.epochs = LeaderEpochs()

    @property
    def last_epoch(self) -> int:
        return self.frames[-1].leader_epoch if self.frames else 0

    def epoch_end(self, leader_epoch: int) -> EpochEnd:
        return self.epochs.end_of(
            leader_epoch, log_start_offset=self.log_start_offset, log_end_offset=self.log_end_offset
        )

    def append(self, frame: Frame) -> None:
        assert frame.base_offset == self.log_end_offset, "frames follow on each other"
        assert frame.leader_epoch >= self.last_epoch, "epochs never fall"
        self.epochs.follow(frame.leader_epoch, frame.base_offset)
        self.frames.append(frame)
        self.log_end_offset = frame.next_offset

    def flush(self) -> None:
        self.flushed_end_offset = self.log_end_offset

    def truncate(self, offset: int) -> None:
        """As the real log: a frame that goes beyond the offset goes whole."""
        assert offset >= self.high_watermark, "what was acknowledged is cut"
        self.frames = [frame for frame in self.frames if frame.next_offset <= offset]
        self._end_at(self.frames[-1].next_offset if self.frames else self.log_start_offset)

    def begin_anew(self, offset: int) -> None:
        self.frames = []
        self.epochs = LeaderEpochs()
        self.log_start_offset = offset
        self.high_watermark = offset
        self._end_at(offset)

    def delete_before(self, offset: int) -> None:
        """What ends at or below the offset goes; it must be below the high watermark."""
        self.frames = [frame for frame in self.frames if frame.next_offset > offset]
        self.log_start_offset = max(self.log_start_offset, offset)
        self.epochs.forget_before(self.log_start_offset)

    def lose_unflushed(self, rng: random.Random) -> None:
        """A power cut: of what was not flushed, a prefix may be there all the same."""
        ends = [f.next_offset for f in self.frames if f.next_offset >= self.flushed_end_offset]
        kept = rng.choice([self.flushed_end_offset, *ends])
        self.frames = [frame for frame in self.frames if frame.next_offset <= kept]
        self.log_end_offset = max(self.log_start_offset, kept if self.frames else self.log_start_offset)
        self.flushed_end_offset = self.log_end_offset
        self.epochs = LeaderEpochs()
        for frame in self.frames:
            self.epochs.follow(frame.leader_epoch, frame.base_offset)

    def from_offset(self, offset: int) -> list[Frame]:
        return [frame for frame in self.frames if frame.base_offset >= offset]

    def _end_at(self, offset: int) -> None:
        self.log_end_offset = offset
        self.flushed_end_offset = min(self.flushed_end_offset, offset)
        self.epochs.forget_after(offset)


class Message(NamedTuple):
    """A push on its way: the frames stand beside it."""

    push: ReplicaPush
    frames: list[Frame]


class Replica:
    """One broker's replica: its log, its state while it follows, and what is on its way to it."""

    def __init__(self, number: int, rng: random.Random) -> None:
        self.number = number
        self.rng = rng
        self.log = ModelLog()
        self.state = FollowState(rng)
        self.leader_epoch = 0
        self.leads = False
        self.instruction: Instruction | None = None
        self.inbox: deque[Message] = deque()
        self.started: FollowStart | None = None
        self.last_subscription = 0

    def follow(self, leader_epoch: int) -> None:
        self.leader_epoch = leader_epoch
        self.leads = False
        self.started = None
        self._do(self.state.follow(leader_epoch))

    def lead(self, leader_epoch: int) -> None:
        assert self.state.phase is not Phase.CUTTING
        self.leader_epoch = leader_epoch
        self.leads = True
        self.state.leave()
        self.log.epochs.assign(leader_epoch, self.log.log_end_offset)

    def start(self) -> None:
        """Its stream is open."""
        if self.leads or self.state.phase is not Phase.WAITING or not self.state.follows:
            return
        self.last_subscription += 1
        self.state.start(self.last_subscription)
        self.started = FollowStart(
            subscription=self.last_subscription,
            leader_epoch=self.leader_epoch,
            log_end_offset=self.log.log_end_offset,
            flushed_end_offset=self.log.flushed_end_offset,
            last_epoch=self.log.last_epoch,
        )

    def take_next(self) -> None:
        """The oldest message arrives."""
        if not self.inbox:
            return
        push, frames = self.inbox.popleft()
        if self.leads or not self.state.takes(push.subscription, self.leader_epoch):
            return
        if push.HasField("end"):
            self._do(self.state.ended(push.end, self.log))
            return
        assert not frames or push.previous_end_offset == self.log.log_end_offset
        for frame in frames:
            assert frame.leader_epoch <= self.leader_epoch
            self.log.append(frame)
        learnt = min(push.high_watermark, self.log.flushed_end_offset)
        self.log.high_watermark = max(self.log.high_watermark, learnt)
        if push.log_start_offset > self.log.log_start_offset:
            self.log.delete_before(min(push.log_start_offset, self.log.high_watermark))
        self.state.took(frames=bool(frames))

    def carry_out(self) -> None:
        """The cut, or the wait, is over."""
        instruction, self.instruction = self.instruction, None
        if self.state.phase is Phase.CUTTING:
            before = (self.log.log_end_offset, self.log.last_epoch)
            match instruction:
                case CutTo(offset):
                    self.log.truncate(offset)
                case BeginAnew(offset):
                    self.log.begin_anew(offset)
            assert (self.log.log_end_offset, self.log.last_epoch) != before, (
                "a cut that changes nothing is asked for for ever"
            )
            self._do(self.state.cut())
        elif self.state.phase is Phase.BROKEN:
            self._do(self.state.retry())

    def crash(self) -> None:
        """It comes back as another process, which knows only its disk."""
        self.log.lose_unflushed(self.rng)
        self.state = FollowState(self.rng)
        self.leads = False
        self.inbox.clear()
        self.started = None
        self.instruction = None

    def _do(self, instruction: Instruction | None) -> None:
        match instruction:
            case Join():
                self.started = None
            case CutTo() | BeginAnew() | Wait():
                self.instruction = instruction


class ModelPartition:
    """The replicas, and the coordinator that says who leads and who is in sync."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.replicas = [Replica(number, rng) for number in range(3)]
        self.leader: Replica = self.replicas[0]
        self.leader_epoch = 0
        self.isr = [0, 1, 2]
        self.acknowledged: dict[int, int] = {}
        self.sent: dict[int, tuple[int, int]] = {}
        self.committed: list[Frame] = []
        self.watermark = 0
        self.epoch_start = 0
        self.deleted_before = 0
        self._values = 0
        self.elect(0)

    @property
    def followers(self) -> list[Replica]:
        return [replica for replica in self.replicas if replica is not self.leader]

    def elect(self, number: int) -> None:
        """A member of the in-sync set leads, in a new epoch."""
        assert number in self.isr
        if self.replicas[number].state.phase is Phase.CUTTING:
            self.replicas[number].carry_out()
        self.leader_epoch += 1
        self.leader = self.replicas[number]
        self.leader.lead(self.leader_epoch)
        self.epoch_start = self.leader.log.log_end_offset
        self.acknowledged = {}
        self.sent = {}
        for replica in self.followers:
            replica.follow(self.leader_epoch)

    def produce(self, records: int) -> None:
        log = self.leader.log
        self._values += 1
        base = log.log_end_offset
        log.append(Frame(base, base + records, self.leader_epoch, self._values))

    def answer_start(self, follower: Replica) -> None:
        """The leader sees what the follower asked for, and sends what is to be sent first."""
        start, follower.started = follower.started, None
        if start is None or start.leader_epoch != self.leader_epoch:
            return
        log = self.leader.log
        verdict = start_check.check_start(
            log, log_end_offset=start.log_end_offset, last_epoch=start.last_epoch
        )
        begins = [*(frame.base_offset for frame in log.frames), log.log_end_offset]
        is_beginning = isinstance(verdict, start_check.Begin) or (
            isinstance(verdict, start_check.BeginIfFrame) and start.log_end_offset in begins
        )
        if isinstance(verdict, EpochEndOffset):
            self._end(follower, start.subscription, FollowEnd(diverged=verdict))
        elif is_beginning:
            self.sent[follower.number] = (start.subscription, start.log_end_offset)
            self.acknowledged[follower.number] = start.flushed_end_offset
            self._send(follower, start.subscription, [], start.log_end_offset)
        else:
            self._end(follower, start.subscription, FollowEnd(restart_offset=log.log_start_offset))

    def push(self, follower: Replica, count: int) -> None:
        """The leader sends its next frames, or only news."""
        if follower.number in self.sent:
            subscription, offset = self.sent[follower.number]
            if offset < self.leader.log.log_start_offset:
                del self.sent[follower.number]
                self._end(follower, subscription, FollowEnd(restart_offset=self.leader.log.log_start_offset))
                return
            frames = self.leader.log.from_offset(offset)[:count]
            self._send(follower, subscription, frames, offset)
            if frames:
                self.sent[follower.number] = (subscription, frames[-1].next_offset)

    def acknowledge(self, follower: Replica) -> None:
        subscription, _ = self.sent.get(follower.number, (0, 0))
        if follower.state.takes(subscription, self.leader_epoch):
            self.acknowledged[follower.number] = follower.log.flushed_end_offset
            self.advance()

    def advance(self) -> None:
        log = self.leader.log
        ends = {**self.acknowledged, self.leader.number: log.flushed_end_offset}
        end = least_acknowledged_end(ends, committed=self.isr, required=1)
        log.high_watermark = max(log.high_watermark, end or 0)

    def shrink(self, follower: Replica) -> None:
        """The leader may be rid of anybody at any time."""
        if follower.number in self.isr:
            self.isr.remove(follower.number)
            self.advance()

    def expand(self, follower: Replica) -> None:
        """The follower is let in if it has all that may have been acknowledged."""
        end = self.acknowledged.get(follower.number, -1)
        if follower.number not in self.isr and end >= max(self.leader.log.high_watermark, self.epoch_start):
            self.isr.append(follower.number)

    def delete_records(self) -> None:
        """Up to the high watermark, at a frame's beginning."""
        log = self.leader.log
        bases = [f.base_offset for f in log.frames if f.base_offset <= log.high_watermark]
        if bases:
            self.deleted_before = max(self.deleted_before, offset := self.rng.choice(bases))
            log.delete_before(offset)

    def crash(self, replica: Replica) -> None:
        replica.crash()
        if replica is self.leader:
            self.elect(self.rng.choice(self.isr))
        else:
            self.acknowledged.pop(replica.number, None)
            self.sent.pop(replica.number, None)
            replica.follow(self.leader_epoch)

    def break_stream(self, follower: Replica) -> None:
        follower.inbox.clear()
        self.sent.pop(follower.number, None)
        follower.started = None
        if follower.state.phase in {Phase.STARTING, Phase.FOLLOWING}:
            follower.state.lost()

    def settle(self) -> None:
        """No more trouble: everything goes on until nothing moves."""
        for _ in range(200):
            self.leader.log.flush()
            for follower in self.followers:
                self._settle(follower)
            self.advance()
            if all(self._is_equal(follower) for follower in self.followers) and len(self.isr) == 3:
                return
        raise AssertionError("the replicas never became equal")

    def check(self) -> None:
        """What was below a high watermark once stays as it was, everywhere."""
        leader = self.leader.log
        known = self.committed[-1].next_offset if self.committed else 0
        for frame in leader.frames:
            if known <= frame.base_offset and frame.next_offset <= leader.high_watermark:
                self.committed.append(frame)
        by_offset = {frame.base_offset: frame for frame in self.committed}
        for replica in self.replicas:
            log = replica.log
            assert log.log_start_offset <= log.log_end_offset
            assert log.flushed_end_offset <= log.log_end_offset
            for frame in log.frames:
                if frame.next_offset <= log.high_watermark:
                    assert by_offset[frame.base_offset] == frame, "what was acknowledged has changed"
        self.watermark = max(self.watermark, leader.high_watermark)
        for number in self.isr:
            end = self.replicas[number].log.log_end_offset
            assert end >= self.watermark, f"replica {number} is in sync and could give an offset twice"
            has = {frame.base_offset for frame in self.replicas[number].log.frames}
            for frame in self.committed:
                is_there = frame.base_offset in has or frame.base_offset < self.deleted_before
                assert is_there, f"replica {number} is in sync and lacks {frame}"

    def _settle(self, follower: Replica) -> None:
        follower.carry_out()
        follower.start()
        self.answer_start(follower)
        self.push(follower, 5)
        while follower.inbox:
            follower.take_next()
        follower.log.flush()
        self.acknowledge(follower)
        self.expand(follower)

    def _is_equal(self, follower: Replica) -> bool:
        one, other = self.leader.log, follower.log
        start = max(one.log_start_offset, other.log_start_offset)
        same = one.from_offset(start) == other.from_offset(start)
        return same and one.log_end_offset == other.log_end_offset == other.high_watermark

    def _end(self, follower: Replica, subscription: int, end: FollowEnd) -> None:
        follower.inbox.append(Message(ReplicaPush(subscription=subscription, end=end), []))

    def _send(self, follower: Replica, subscription: int, frames: list[Frame], offset: int) -> None:
        log = self.leader.log
        push = ReplicaPush(
            subscription=subscription,
            previous_end_offset=offset,
            high_watermark=log.high_watermark,
            log_start_offset=log.log_start_offset,
        )
        follower.inbox.append(Message(push, frames))
