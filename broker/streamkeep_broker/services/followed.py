"""Whether a follower may be served, from where, and what ties its subscription to the partition it follows.

Nothing here sends: a refusal, or what the follower has to do first, is returned as the subscription's end.
"""

from __future__ import annotations

from typing import Protocol

from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.read import ReadCursor
from streamkeep_broker.replication.distance import bytes_after
from streamkeep_broker.replication.leadership import Leadership
from streamkeep_broker.replication.partition import Partition
from streamkeep_broker.replication.partitions import Partitions
from streamkeep_broker.replication.start_check import BeginIfFrame, Restart, check_start
from streamkeep_common.errors import (
    InvalidRequestError,
    StreamkeepError,
    UnavailableError,
    to_proto,
)
from streamkeep_common.limits import MIB
from streamkeep_common.records.frame import unpack_header
from streamkeep_proto.v1.replication_pb2 import EpochEndOffset, FollowEnd, FollowerHello, FollowStart

FAR_BEHIND_BYTES = 4 * MIB
"""Who lacks more does not belong on the live stream."""

CAUGHT_UP_BYTES = MIB
"""Who lacks less does not belong on the other one. The distance between the two keeps a follower from going
back and forth."""


class Stream(Protocol):
    """The stream of a subscription, as its partition calls it."""

    def appended(self, subscription_id: int) -> None: ...

    def moved(self, subscription_id: int) -> None: ...

    def end(self, subscription_id: int, end: FollowEnd) -> None: ...


class FollowedPartition:
    """One subscription's tie to its partition, for one leader epoch. It keeps the place in the files."""

    __slots__ = ("_hello", "_id", "_stream", "cursor", "leadership", "partition")

    def __init__(
        self,
        stream: Stream,
        subscription_id: int,
        hello: FollowerHello,
        *,
        partition: Partition,
        leadership: Leadership,
    ) -> None:
        self.partition = partition
        self.leadership = leadership
        self.cursor = ReadCursor()
        self._stream = stream
        self._id = subscription_id
        self._hello = hello

    @property
    def follower_id(self) -> int:
        return self._hello.broker_id

    @property
    def broker_epoch(self) -> int:
        return self._hello.broker_epoch

    @property
    def log(self) -> PartitionLog:
        return self.partition.log

    @property
    def log_end_offset(self) -> int:
        return self.log.log_end_offset

    @property
    def rate_bytes(self) -> int:
        """Only who catches up is slowed down: a live one holds up what is to be acknowledged."""
        return self.log.settings.catch_up_rate_bytes if self._hello.catch_up else -1

    def appended(self) -> None:
        self._stream.appended(self._id)

    def moved(self) -> None:
        self._stream.moved(self._id)

    def ended(self, error: StreamkeepError) -> None:
        self._stream.end(self._id, FollowEnd(error=to_proto(error)))

    def replaced(self) -> None:
        """The start heard last counts. If the follower sent it earlier, on a stream that has broken since, it
        must learn that its current one does not count, and start again."""
        self.ended(UnavailableError(f"{self.partition.name}: another start of this follower was heard since"))


def find_leadership(
    partitions: Partitions, start: FollowStart, hello: FollowerHello
) -> tuple[Partition, Leadership]:
    """The partition and its leadership, if this broker leads it in the epoch asked for and this follower may
    follow it. Raises StreamkeepError."""
    partition = partitions.find(start.topic_id, start.partition)
    leadership = partition.check_leads_in(start.leader_epoch)
    leadership.check_follower(hello.broker_id, hello.broker_epoch)
    return partition, leadership


def check_offsets(start: FollowStart) -> None:
    """Raise InvalidRequestError for what no follower can have."""
    if (
        not 0 <= start.flushed_end_offset <= start.log_end_offset
        or not 0 <= start.log_start_offset <= start.log_end_offset
        or start.last_epoch < 0
    ):
        raise InvalidRequestError(
            f"no log goes from {start.log_start_offset} to {start.log_end_offset}, is flushed up to "
            f"{start.flushed_end_offset} and has a last record of leader epoch {start.last_epoch}"
        )


async def judge(log: PartitionLog, start: FollowStart, *, catch_up: bool) -> FollowEnd | None:
    """What the follower must do before it can be served; None = nothing.

    Raises StreamkeepError, or OSError if the log cannot be read.
    """
    verdict = check_start(log, log_end_offset=start.log_end_offset, last_epoch=start.last_epoch)
    match verdict:
        case EpochEndOffset():
            return FollowEnd(diverged=verdict)
        case BeginIfFrame() if await _first_frame_at(log, start.log_end_offset) != start.log_end_offset:
            return FollowEnd(restart_offset=await _first_frame_at(log, log.log_start_offset))
        case Restart():
            first_offset = await _first_frame_at(log, log.log_start_offset)
            if start.last_epoch or start.log_end_offset != first_offset:
                return FollowEnd(restart_offset=first_offset)
    return change_of_stream(log, start.log_end_offset, catch_up=catch_up)


async def place_to_read(log: PartitionLog, next_offset: int) -> int:
    """An offset by which the frame that begins at `next_offset` can be read: the log may start within it."""
    start_offset = log.log_start_offset
    if next_offset < start_offset and await _first_frame_at(log, start_offset) == next_offset:
        return start_offset
    return next_offset


def change_of_stream(log: PartitionLog, offset: int, *, catch_up: bool) -> FollowEnd | None:
    """Whether a follower whose log ends at `offset` belongs on the other stream."""
    missing_bytes = bytes_after(log.segments, offset)
    if catch_up and missing_bytes < CAUGHT_UP_BYTES:
        return FollowEnd(caught_up=True)
    if not catch_up and missing_bytes > FAR_BEHIND_BYTES:
        return FollowEnd(behind=True)
    return None


async def _first_frame_at(log: PartitionLog, offset: int) -> int:
    """Where the frame begins that has `offset`: a log may start within one, a follower's may not."""
    if offset in {log.log_end_offset, log.segments[0].base_offset}:
        return offset
    slice_ = await log.read(offset, max_bytes=1, end_offset=log.log_end_offset)
    return unpack_header(slice_.data).base_offset if slice_.data else offset
