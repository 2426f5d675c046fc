"""One replica that follows: carries out on its log and its stream what `FollowState` decides.

Nothing else writes to the log of a partition that follows. An error here ends this partition's subscription
and nobody else's.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Protocol

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.replication.following.cuts import BeginAnew, CutTo
from streamkeep_broker.replication.following.cutter import Cutter
from streamkeep_broker.replication.following.link import LeaderLink
from streamkeep_broker.replication.following.state import (
    Damaged,
    FollowState,
    Instruction,
    Join,
    Lane,
    Wait,
)
from streamkeep_broker.replication.following.stream import FollowerStream
from streamkeep_broker.replication.partition import Partition
from streamkeep_common.errors import (
    CorruptBatchError,
    FencedLeaderEpochError,
    NotLeaderError,
    StaleBrokerEpochError,
    StreamkeepError,
    UnknownLeaderEpochError,
    UnknownPartitionError,
    UnknownTopicError,
)
from streamkeep_proto.v1.errors_pb2 import LeaderHint
from streamkeep_proto.v1.replication_pb2 import FollowerAck, FollowStart, ReplicaPush

_EXPECTED = (
    FencedLeaderEpochError,
    NotLeaderError,
    StaleBrokerEpochError,
    UnknownLeaderEpochError,
    UnknownPartitionError,
    UnknownTopicError,
)
"""One side's image is a moment behind the other's: nothing to tell a person."""

EARLY_ACK_BYTES = 2 * 1024 * 1024
"""What is in the log is acknowledged together with the flush that makes it count; before that only after so
much of it, lest a slow disk use up the leader's window. More than a batch, whose flush has its turn first."""

_logger = logging.getLogger(__name__)


class Observer(Protocol):
    """What followers count."""

    def followed(self, size_bytes: int) -> None:
        """Frames of a leader were written."""
        ...

    def cut(self) -> None:
        """A log parted from its leader's, and is cut back or begun anew."""
        ...

    def push_was_corrupt(self) -> None:
        """A push came other than it was sent."""
        ...


class FollowingReplica:
    """See the module. `on_damaged` is called when its log turns out to be corrupt, `on_idle` when it follows
    nobody and its log is let go of."""

    def __init__(
        self,
        partition: Partition,
        *,
        logs: LogManager,
        rng: random.Random,
        on_damaged: Callable[[Partition], None],
        observer: Observer,
        on_idle: Callable[[Partition], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self.partition = partition
        self._log = partition.log
        self._logs = logs
        self._state = FollowState(rng)
        self._cutter = Cutter(partition.log, logs, on_failure)
        self._on_damaged = on_damaged
        self._observer = observer
        self._on_idle = on_idle
        self._link: LeaderLink | None = None
        self._stream: FollowerStream | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unacknowledged_bytes = 0
        self._said: type[StreamkeepError] | None = None
        """What kind of trouble was said last; nothing has been written since."""

    @property
    def lag(self) -> int:
        """How many records that are acknowledged it lacks, as far as it has heard."""
        return max(0, self.partition.leaders_watermark - self._log.log_end_offset)

    @property
    def lane(self) -> Lane:
        """The stream that it is on, or waits for."""
        return self._state.lane

    # --- whom to follow ---

    def follow(self, link: LeaderLink, hint: LeaderHint) -> None:
        """Follow the leader that `hint` names, from the beginning, unless that is under way already."""
        state = self._state
        same = state.follows and self._link is link and state.leader_epoch == hint.leader_epoch
        if same and (not state.is_damaged or self._log.defects):
            return
        self._leave_stream(hint)
        self._link = link
        self.partition.on_moved = self._moved
        self._carry_out(state.follow(hint.leader_epoch))

    def leave(self, newer: LeaderHint | None) -> None:
        """Follow nobody. A cut of the log that is under way goes on."""
        self._leave_stream(newer)
        self._state.leave()
        self._link = None
        if not self._cutter.is_busy:
            self._let_go()

    async def settled(self) -> None:
        """Return when the log is not being cut."""
        await self._cutter.settled()

    # --- its stream ---

    def start(self, subscription: int) -> FollowStart | None:
        """What to ask the leader for. None if the own log must be put right first."""
        log = self._log
        try:
            self._logs.directory_of(log).check_readable()
            log.check_sound()
        except StreamkeepError as error:
            self._fail(error)
            return None
        assert not log.is_suspended, "what changes files behind a log's back is waited for"
        self._state.start(subscription)
        return FollowStart(
            subscription=subscription,
            topic_id=log.topic_id,
            partition=log.partition,
            leader_epoch=self._state.leader_epoch,
            log_end_offset=log.log_end_offset,
            flushed_end_offset=log.flushed_end_offset,
            last_epoch=log.last_epoch,
            log_start_offset=log.log_start_offset,
        )

    def take(self, push: ReplicaPush) -> None:
        """Write the frames of a push, learn its news, or do what its end says."""
        state, partition = self._state, self.partition
        if partition.leads or not state.takes(push.subscription, partition.leader_epoch):
            return
        if push.HasField("end"):
            self._end(push)
            return
        frames = push.frames
        log_start_offset = self._log.log_start_offset
        try:
            if frames:
                self._append(frames, push.previous_end_offset)
            partition.learn(high_watermark=push.high_watermark, log_start_offset=push.log_start_offset)
        except StreamkeepError as error:
            self._fail(error)
            return
        if self._log.log_start_offset > log_start_offset:
            self._moved()  # who deleted what is before it waits to hear so
        state.took(frames=bool(frames))

    def acknowledge(self) -> FollowerAck:
        """Up to where the log goes now, up to where on disk, and where it begins."""
        log = self._log
        self._unacknowledged_bytes = 0
        return FollowerAck(
            subscription=self._state.subscription,
            log_end_offset=log.log_end_offset,
            flushed_end_offset=log.flushed_end_offset,
            log_start_offset=log.log_start_offset,
        )

    def lost(self) -> None:
        """The stream broke; it starts this one again."""
        self._state.lost()

    def _append(self, frames: bytes, previous_end_offset: int) -> None:
        log = self._log
        self._logs.append_frames(
            log,
            frames,
            previous_end_offset=previous_end_offset,
            leader_epoch=self._state.leader_epoch,
        )
        self._said = None
        self._logs.request_flush(log)
        self._observer.followed(len(frames))
        self._unacknowledged_bytes += len(frames)
        if log.settings.durability == "os" or self._unacknowledged_bytes >= EARLY_ACK_BYTES:
            self._moved()

    def _moved(self) -> None:
        """There is something to acknowledge."""
        if self._stream is not None and self._state.subscription:
            self._stream.moved(self)

    def _end(self, push: ReplicaPush) -> None:
        assert self._stream is not None
        self._stream.forget(self, push.subscription)
        self._stream = None
        instruction = self._state.ended(push.end, self._log)
        if isinstance(instruction, CutTo | BeginAnew):
            what = "cut back to" if isinstance(instruction, CutTo) else "begun anew at"
            epoch = self._state.leader_epoch
            _logger.info(
                "%r parts from its leader's of epoch %d: %s %d", self._log, epoch, what, instruction.offset
            )
        self._carry_out(instruction)

    def _fail(self, error: StreamkeepError) -> None:
        if isinstance(error, CorruptBatchError):
            self._observer.push_was_corrupt()
        self._leave_stream(None)
        self._carry_out(self._state.failed(error))

    def _leave_stream(self, newer: LeaderHint | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._stream is not None:
            self._stream.leave(self, self._state.subscription, newer)
            self._stream = None

    # --- what the state says ---

    def _carry_out(self, instruction: Instruction | None) -> None:
        match instruction:
            case Join(lane):
                assert self._link is not None
                self._stream = self._link.stream(lane)
                self._stream.join(self)
            case CutTo() | BeginAnew():
                self._observer.cut()
                self.partition.begin_cut()
                self._cutter.begin(instruction, self._was_cut)
            case Wait(wait_s, reason):
                self._say(reason)
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._retry)
            case Damaged(reason):
                _logger.error("%s is damaged here and follows nobody: %s", self.partition.name, reason)
                self._on_damaged(self.partition)

    def _was_cut(self, error: StreamkeepError | None) -> None:
        self.partition.is_being_cut = False
        instruction = self._state.cut() if error is None else self._state.failed(error)
        if self._state.follows:
            self._carry_out(instruction)
        else:
            self._let_go()

    def _let_go(self) -> None:
        self._on_idle(self.partition)
        self.partition.lead_if_elected()

    def _retry(self) -> None:
        """The wait is over. A disk is asked first: the leader would send a whole window for nothing."""
        self._timer = None
        if self._state.waits_for_disk:
            try:
                self._logs.directory_of(self._log).check_appendable(self._log.settings.min_free_bytes)
            except StreamkeepError as error:
                self._carry_out(self._state.failed(error))
                return
        self._carry_out(self._state.retry())

    def _say(self, reason: StreamkeepError) -> None:
        kind = type(reason)
        if kind is not self._said and not isinstance(reason, _EXPECTED):
            _logger.warning("%s cannot follow its leader for now: %s", self.partition.name, reason)
        self._said = kind
