"""The leader's end of one replication stream: frames pushed as they are appended, within a window.

One task takes what the follower says, one reads and sends in the turns that `push_session` decides. An
append rings the writer's bell, so that a push leaves in the next pass of the loop, with no timer and no task
of its own. Here too a peer that does not read blocks only its own writing task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Protocol

from streamkeep_broker.log.read import LogSlice
from streamkeep_broker.replication.heartbeats import HEARTBEAT_S, SILENCE_S
from streamkeep_broker.replication.partitions import Partitions
from streamkeep_broker.services.followed import (
    FollowedPartition,
    change_of_stream,
    check_offsets,
    find_leadership,
    judge,
    place_to_read,
)
from streamkeep_broker.services.push_session import MAX_FOLLOWED, PushSession, PushSubscription
from streamkeep_broker.services.read_failures import read_failure
from streamkeep_broker.services.slice_response import ResponseBuilder
from streamkeep_broker.streams import Bell, run_halves
from streamkeep_common.errors import (
    CorruptLogError,
    InvalidRequestError,
    NotLeaderError,
    StreamkeepError,
    to_proto,
)
from streamkeep_common.seams import Clock, RpcError, ServerStream, Status
from streamkeep_proto.v1.broker_pb2 import Closing
from streamkeep_proto.v1.replication_pb2 import (
    FollowEnd,
    FollowerAck,
    FollowerHello,
    FollowStart,
    FollowStop,
    ReplicaPush,
    ReplicateRequest,
    ReplicateResponse,
)

CATCH_UP_PAUSE_S = 0.005
"""After each response of a catch-up stream, which carries up to 1 MiB: live streams have their turns."""

NEWS_LINGER_S = 0.002
"""How long a moved watermark waits for frames to go with: while records come, one message does for two."""

ENDINGS_PER_RESPONSE = 10_000
"""Each may carry a sentence or two, and all of them must fit into a message."""

ReplicaServerStream = ServerStream[ReplicateRequest, ReplicateResponse]
FollowerSubscription = PushSubscription[FollowedPartition]


class Observer(Protocol):
    """What a stream counts."""

    def replicated(self, size_bytes: int) -> None: ...


class PushStream:
    """One follower's stream, live or for catching up. `first` is its first request, its hello checked;
    `closing` says what to tell it before the stream ends, once the broker stops."""

    def __init__(
        self,
        stream: ReplicaServerStream,
        first: ReplicateRequest,
        *,
        partitions: Partitions,
        clock: Clock,
        window_bytes: int,
        observer: Observer,
        closing: Callable[[], Closing | None],
    ) -> None:
        self._stream = stream
        self._first = first
        self._partitions = partitions
        self._clock = clock
        self._observer = observer
        self._closing = closing
        self._hello: FollowerHello = first.hello
        self._session: PushSession[FollowedPartition] = PushSession(window_bytes)
        self._endings: dict[int, FollowEnd] = {}
        self._to_write = Bell()
        self._endings_sent = Bell()
        self._news_timer: asyncio.TimerHandle | None = None
        self._news_is_due = False
        self._reading = True
        self._heard_at = clock.monotonic()
        self._sent_at = self._look_at = self._heard_at

    async def run(self) -> None:
        """Returns when the stream is over, leaving no subscription behind."""
        try:
            await run_halves(self._read(), self._write())
        finally:
            if self._news_timer is not None:
                self._news_timer.cancel()
            for subscription in self._session.clear():
                subscription.source.leadership.remove_follower(subscription.source)

    def wake(self) -> None:
        """Look again at whether the broker is closing."""
        self._to_write.ring()

    # --- what partitions say ---

    def appended(self, subscription_id: int) -> None:
        """A log has grown."""
        subscription = self._session.get(subscription_id)
        if subscription is not None:
            self._session.look(subscription)
            if self._session.has_turn:
                self._to_write.ring()

    def moved(self, subscription_id: int) -> None:
        """A high watermark or a log start moved."""
        subscription = self._session.get(subscription_id)
        if subscription is not None:
            self._session.moved(subscription)
            if self._news_timer is None:
                self._news_timer = asyncio.get_running_loop().call_later(NEWS_LINGER_S, self._tell_news)

    def _tell_news(self) -> None:
        self._news_timer = None
        if self._session.has_news:
            self._news_is_due = True
            self._to_write.ring()

    def end(self, subscription_id: int, end: FollowEnd) -> None:
        """End a subscription and say why."""
        self.drop(subscription_id)
        self._endings[subscription_id] = end
        self._to_write.ring()

    def drop(self, subscription_id: int) -> None:
        """End a subscription of which the follower wants to hear no more."""
        subscription = self._session.stop(subscription_id)
        if subscription is not None:
            subscription.source.leadership.remove_follower(subscription.source)

    # --- what the follower says ---

    async def _read(self) -> None:
        try:
            request: ReplicateRequest | None = self._first
            while request is not None:
                self._heard_at = self._clock.monotonic()
                await self._take(request)
                while len(self._endings) >= MAX_FOLLOWED:
                    await self._endings_sent.wait()
                request = await self._stream.receive()
        finally:
            self._reading = False
            self._to_write.ring()

    async def _take(self, request: ReplicateRequest) -> None:
        try:
            for start in request.start:
                await self._start(start)
                self._heard_at = self._clock.monotonic()  # how long that took says nothing of the follower
            for ack in request.acks:
                self._acknowledge(ack)
        except InvalidRequestError as error:
            raise RpcError(Status.INVALID_ARGUMENT, str(error)) from None
        for stop in request.stop:
            self._stop(stop)
        if self._session.has_turn:
            self._to_write.ring()

    async def _start(self, start: FollowStart) -> None:
        self._session.check_new(start.subscription)
        check_offsets(start)
        try:
            end = await self._try_start(start)
        except StreamkeepError as error:
            end = FollowEnd(error=to_proto(error))
        if end is not None:
            self.end(start.subscription, end)

    async def _try_start(self, start: FollowStart) -> FollowEnd | None:
        partition, leadership = find_leadership(self._partitions, start, self._hello)
        changed_hands = NotLeaderError(f"{partition.name} changed hands while its follower was looked at")
        try:
            end = await judge(partition.log, start, catch_up=self._hello.catch_up)
        except (CorruptLogError, OSError) as error:
            if partition.leadership is not leadership:  # who leads no more may have its log cut
                raise changed_hands from error
            raise read_failure(partition, error) from error
        if end is not None:
            return end
        if find_leadership(self._partitions, start, self._hello) != (partition, leadership):
            raise changed_hands
        followed = FollowedPartition(
            self, start.subscription, self._hello, partition=partition, leadership=leadership
        )
        self._session.start(start.subscription, followed, next_offset=start.log_end_offset)
        leadership.add_follower(
            followed,
            log_end_offset=start.log_end_offset,
            flushed_end_offset=start.flushed_end_offset,
            log_start_offset=start.log_start_offset,
        )
        self._news_is_due = True
        self._to_write.ring()
        return None

    def _acknowledge(self, ack: FollowerAck) -> None:
        subscription = self._session.get(ack.subscription)
        if subscription is None:
            return  # it ended here, and the follower could not know yet
        if not 0 <= ack.flushed_end_offset <= ack.log_end_offset:
            raise InvalidRequestError("nothing can be on disk that is not in the log")
        now_s = self._clock.monotonic()
        self._session.acknowledged(subscription, ack.log_end_offset, now_s=now_s)
        followed = subscription.source
        followed.leadership.acknowledge(
            followed, ack.log_end_offset, ack.flushed_end_offset, ack.log_start_offset
        )

    def _stop(self, stop: FollowStop) -> None:
        subscription = self._session.get(stop.subscription)
        if subscription is None:
            return
        self.drop(stop.subscription)
        followed = subscription.source
        if stop.HasField("newer_leader") and followed.partition.leadership is followed.leadership:
            followed.partition.step_down(stop.newer_leader)

    # --- what it gets ---

    async def _write(self) -> None:
        """Ends when the broker closes, or when the follower has half-closed."""
        while self._closing() is None and self._reading:
            now_s = self._clock.monotonic()
            self._look(now_s)
            rest_s = self._session.end_rests(now_s)
            response = ResponseBuilder()
            self._add_endings(response)
            await self._add_frames(response)
            if self._news_is_due or response.size_bytes:
                self._add_news(response)
            beat_s = self._sent_at + HEARTBEAT_S - now_s
            if response.size_bytes or beat_s <= 0:
                await self._send(response)
            else:
                await self._to_write.wait(beat_s if rest_s is None else min(rest_s, beat_s))
        closing = self._closing()
        if closing is not None:
            await self._stream.send(ReplicateResponse(closing=closing))

    async def _send(self, response: ResponseBuilder) -> None:
        await self._stream.send(response.finish())
        self._endings_sent.ring()
        self._sent_at = self._clock.monotonic()
        if self._hello.catch_up:
            await self._clock.sleep(CATCH_UP_PAUSE_S)

    def _look(self, now_s: float) -> None:
        """Raise RpcError if the follower is silent; from time to time, look for partitions that are stuck."""
        if now_s - self._heard_at > SILENCE_S:
            raise RpcError(Status.DEADLINE_EXCEEDED, f"the follower was silent for {SILENCE_S} s")
        if now_s < self._look_at or self._hello.catch_up:
            return
        self._look_at = now_s + HEARTBEAT_S
        for subscription in self._session.stuck(now_s):
            self._change_stream(subscription, subscription.pushed[0].end_offset)

    def _add_endings(self, response: ResponseBuilder) -> None:
        for subscription_id in list(islice(self._endings, ENDINGS_PER_RESPONSE)):
            response.add(ReplicaPush(subscription=subscription_id, end=self._endings.pop(subscription_id)))

    async def _add_frames(self, response: ResponseBuilder) -> None:
        """Fill the response from those whose turn it is."""
        sent_bytes = 0
        while response.room_bytes > 0 and (subscription := self._session.take()) is not None:
            slice_ = await self._read_slice(subscription, response.room_bytes)
            if slice_ is not None and slice_.data and subscription.active:
                response.add(_header(subscription), slice_.data)
                now_s = self._clock.monotonic()
                self._session.sent(subscription, len(slice_.data), slice_.next_offset, now_s=now_s)
                sent_bytes += len(slice_.data)
                if self._hello.catch_up:
                    self._change_stream(subscription, subscription.next_offset)
        if sent_bytes:
            self._observer.replicated(sent_bytes)

    async def _read_slice(self, subscription: FollowerSubscription, room_bytes: int) -> LogSlice | None:
        followed = subscription.source
        try:
            return await followed.log.read(
                await place_to_read(followed.log, subscription.next_offset),
                max_bytes=min(room_bytes, subscription.chunk_bytes),
                end_offset=followed.log_end_offset,
                cursor=followed.cursor,
            )
        except (StreamkeepError, OSError) as error:
            if subscription.active:
                failure = read_failure(followed.partition, error)
                self.end(subscription.id, FollowEnd(error=to_proto(failure)))
            return None

    def _change_stream(self, subscription: FollowerSubscription, offset: int) -> None:
        end = change_of_stream(subscription.source.log, offset, catch_up=self._hello.catch_up)
        if end is not None:
            self.end(subscription.id, end)

    def _add_news(self, response: ResponseBuilder) -> None:
        """Tell of moved watermarks where no frames do, and soon: readers of followers wait for them."""
        self._news_is_due = False
        for subscription in self._session.take_news():
            response.add(_header(subscription))


def _header(subscription: FollowerSubscription) -> ReplicaPush:
    log = subscription.source.log
    return ReplicaPush(
        subscription=subscription.id,
        previous_end_offset=subscription.next_offset,
        high_watermark=log.high_watermark,
        log_start_offset=log.log_start_offset,
    )
