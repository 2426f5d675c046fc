"""The fetch stream: slices of the log pushed as the high watermark moves, within the credit given.

One task takes what the client asks, one reads and sends in the turns that `fetch_session` decides. A
client that does not read blocks only its own writing task, which then holds one response and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from streamkeep_broker.log.read import LogSlice, ReadCursor
from streamkeep_broker.replication.partition import Partition
from streamkeep_broker.replication.partitions import Partitions
from streamkeep_broker.services.fetch_session import MAX_SUBSCRIPTIONS, FetchSession, Subscription
from streamkeep_broker.services.limits import HEARTBEAT_S
from streamkeep_broker.services.read_failures import read_failure
from streamkeep_broker.services.slice_response import RESPONSE_BYTES, ResponseBuilder
from streamkeep_broker.services.stream_service import StreamService
from streamkeep_broker.streams import Bell, run_halves
from streamkeep_common.errors import (
    InvalidRequestError,
    StreamkeepError,
    to_proto,
)
from streamkeep_common.seams import Clock, RpcError, ServerStream, Status
from streamkeep_proto.v1.broker_pb2 import (
    FetchedPartition,
    FetchRequest,
    FetchResponse,
    FetchStart,
)

FetchServerStream = ServerStream[FetchRequest, FetchResponse]

_UNCONFIRMED = FetchResponse(leadership_unconfirmed=True).SerializeToString()


class Observer(Protocol):
    """What the fetch service counts."""

    def fetched(self, size_bytes: int) -> None: ...

    def fetched_from_follower(self, size_bytes: int) -> None: ...

    def fetch_streams(self, count: int) -> None: ...


class FetchService(StreamService):
    """Serves fetch streams and ends them when the broker stops."""

    def __init__(
        self,
        *,
        partitions: Partitions,
        clock: Clock,
        unconfirmed: Callable[[], bool],
        observer: Observer,
    ) -> None:
        super().__init__(observer.fetch_streams)
        self.partitions = partitions
        self.clock = clock
        self.unconfirmed = unconfirmed
        self.observer = observer

    async def handle(self, stream: FetchServerStream) -> None:
        """One client's stream, until it half-closes, goes away, or the broker stops."""
        await self.serve(FetchStream(self, stream))


class ReadingAlong:
    """One subscription's tie to its partition: hears of moves, keeps the reader's place in the files."""

    __slots__ = ("cursor", "partition", "rack", "stream", "subscription_id")

    def __init__(self, stream: FetchStream, subscription_id: int, partition: Partition, rack: str) -> None:
        self.stream = stream
        self.subscription_id = subscription_id
        self.partition = partition
        self.rack = rack
        self.cursor = ReadCursor()

    @property
    def high_watermark(self) -> int:
        return self.partition.high_watermark

    def moved(self) -> None:
        self.stream.moved(self.subscription_id)

    def ended(self, error: StreamkeepError) -> None:
        self.stream.end(self.subscription_id, error)

    def image_changed(self) -> None:
        """A replica in the reader's rack may be in sync now."""
        if self.rack:
            self.stream.send_near(self)


class FetchStream:
    """One client's fetch stream."""

    def __init__(self, service: FetchService, stream: FetchServerStream) -> None:
        self._service = service
        self._stream = stream
        self._session: FetchSession[ReadingAlong] = FetchSession()
        self._endings: list[FetchedPartition] = []
        self._to_write = Bell()
        self._endings_sent = Bell()
        self._reading = True
        self._news_due = 0.0

    async def run(self) -> None:
        """Returns when the stream is over, leaving no reader behind."""
        try:
            await run_halves(self._read(), self._write())
        finally:
            for subscription in self._session.clear():
                subscription.source.partition.remove_reader(subscription.source)

    def wake(self) -> None:
        """Look again at whether the broker is closing."""
        self._to_write.ring()

    def moved(self, subscription_id: int) -> None:
        """A partition's high watermark or log start moved."""
        subscription = self._session.get(subscription_id)
        if subscription is not None:
            self._session.moved(subscription)
            if subscription.ready:
                self._to_write.ring()

    def end(self, subscription_id: int, error: StreamkeepError) -> None:
        """End a subscription and say why."""
        self._end(FetchedPartition(subscription=subscription_id, error=to_proto(error)))

    def send_near(self, reader: ReadingAlong) -> None:
        """End a subscription if its reader has a replica nearer than this leader, and name that."""
        replica = self._service.partitions.near_replica(reader.partition, reader.rack)
        if replica is not None:
            self._end(FetchedPartition(subscription=reader.subscription_id, preferred_replica=replica))

    def _end(self, ending: FetchedPartition) -> None:
        self._stop(ending.subscription)
        self._endings.append(ending)
        self._to_write.ring()

    # --- what the client asks ---

    async def _read(self) -> None:
        try:
            while (request := await self._stream.receive()) is not None:
                self._take(request)
                self._to_write.ring()
                while len(self._endings) >= MAX_SUBSCRIPTIONS:
                    await self._endings_sent.wait()
        finally:
            self._reading = False
            self._to_write.ring()

    def _take(self, request: FetchRequest) -> None:
        try:
            if len(request.start) > MAX_SUBSCRIPTIONS:
                raise InvalidRequestError(f"a request starts at most {MAX_SUBSCRIPTIONS} subscriptions")
            for start in request.start:
                self._session.check_new(start.subscription)
                self._start(start)
            for credit in request.credit:
                self._session.credit(credit.subscription, credit.bytes)
        except InvalidRequestError as error:
            raise RpcError(Status.INVALID_ARGUMENT, str(error)) from None
        for subscription_id in request.stop:
            self._stop(subscription_id)

    def _start(self, start: FetchStart) -> None:
        if start.credit_bytes < 0 or start.offset < 0:
            raise InvalidRequestError("offset and credit are never negative")
        try:
            partition = self._service.partitions.find(start.topic_id, start.partition)
            partition.check_serves(start.leader_epoch, from_follower=start.from_follower)
            partition.check_position(start.offset, start.last_read_epoch)
        except StreamkeepError as error:
            self.end(start.subscription, error)
            return
        reader = ReadingAlong(self, start.subscription, partition, start.rack)
        partition.add_reader(reader)
        self._session.start(
            start.subscription, reader, next_offset=start.offset, credit_bytes=start.credit_bytes
        )
        self._news_due = 0.0
        if partition.leads:
            reader.image_changed()

    def _stop(self, subscription_id: int) -> None:
        subscription = self._session.stop(subscription_id)
        if subscription is not None:
            subscription.source.partition.remove_reader(subscription.source)

    # --- what it gets ---

    async def _write(self) -> None:
        """Ends when the broker closes, or when the client has half-closed and got what is there for it."""
        while self._service.closing is None:
            response = ResponseBuilder()
            self._add_endings(response)
            await self._add_slices(response)
            self._add_news(response)
            if not response.size_bytes and not self._reading:
                return
            if response.size_bytes or not await self._to_write.wait(HEARTBEAT_S):
                await self._send(response)
        if self._service.closing is not None:
            await self._stream.send(FetchResponse(closing=self._service.closing))

    async def _send(self, response: ResponseBuilder) -> None:
        await self._stream.send(response.finish(_UNCONFIRMED if self._service.unconfirmed() else b""))
        self._endings_sent.ring()

    def _add_endings(self, response: ResponseBuilder) -> None:
        endings, self._endings = self._endings, []
        for ending in endings:
            response.add(ending)

    async def _add_slices(self, response: ResponseBuilder) -> None:
        """Fill the response from those whose turn it is."""
        sent_bytes = follower_bytes = 0
        while response.room_bytes > 0 and (subscription := self._session.take()) is not None:
            slice_ = await self._read_slice(subscription, response.room_bytes)
            if slice_ is not None and slice_.data and subscription.active:
                response.add(_header(subscription), slice_.data)
                self._session.sent(subscription, len(slice_.data), slice_.next_offset)
                sent_bytes += len(slice_.data)
                follower_bytes += 0 if subscription.source.partition.leads else len(slice_.data)
        if sent_bytes:
            self._service.observer.fetched(sent_bytes)
        if follower_bytes:
            self._service.observer.fetched_from_follower(follower_bytes)

    async def _read_slice(self, subscription: Subscription[ReadingAlong], room_bytes: int) -> LogSlice | None:
        reader = subscription.source
        log = reader.partition.log
        try:
            return await log.read(
                subscription.next_offset,
                max_bytes=min(room_bytes, subscription.credit_bytes, RESPONSE_BYTES),
                end_offset=reader.high_watermark,
                cursor=reader.cursor,
            )
        except (StreamkeepError, OSError) as error:
            if subscription.active:
                self.end(subscription.id, read_failure(reader.partition, error))
            return None

    def _add_news(self, response: ResponseBuilder) -> None:
        """Tell of moved watermarks where no data does, at most once a heartbeat."""
        now = self._service.clock.monotonic()
        if now < self._news_due:
            return
        self._news_due = now + HEARTBEAT_S
        for subscription in self._session.take_news():
            response.add(_header(subscription))


def _header(subscription: Subscription[ReadingAlong]) -> FetchedPartition:
    partition = subscription.source.partition
    high_watermark = partition.high_watermark
    return FetchedPartition(
        subscription=subscription.id,
        high_watermark=high_watermark,
        log_start_offset=partition.log.log_start_offset,
        last_stable_offset=high_watermark,
        leader_epoch=partition.leader_epoch,
    )
