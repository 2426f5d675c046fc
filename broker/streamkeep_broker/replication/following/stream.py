"""One stream to a leader's broker, on a connection of its own: opened while there is something to follow.

It numbers the subscriptions, carries starts, stops and acknowledgements out, and pushes in. Whatever came
together since the last message goes with the next one; no task, future or timer is made for a push. It does
not know what a push means.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from itertools import islice
from typing import Protocol

from streamkeep_broker.replication.following.silence import Silence
from streamkeep_broker.replication.following.state import Lane
from streamkeep_broker.replication.heartbeats import HEARTBEAT_S
from streamkeep_broker.streams import Bell, run_halves, run_watched
from streamkeep_common.errors import StreamkeepError, from_proto
from streamkeep_common.methods import REPLICATE
from streamkeep_common.retry import Backoff, RetryPolicy
from streamkeep_common.seams import ClientStream, Clock, Network, RpcError, Status
from streamkeep_proto.v1.errors_pb2 import STALE_BROKER_EPOCH, LeaderHint
from streamkeep_proto.v1.replication_pb2 import (
    FollowerAck,
    FollowerHello,
    FollowStart,
    FollowStop,
    ReplicaPush,
    ReplicateRequest,
    ReplicateResponse,
)

RECONNECT = RetryPolicy(first_wait_ms=50, max_wait_ms=200)
LASTED_S = 1.0
"""A stream that lived so long was a good one: the next is tried at once."""
UNREGISTERED_S = 0.1
"""How often it is asked whether this broker is registered by now."""
IDLE_S = 10.0
"""A stream on which nothing is followed is closed after so long."""
GOODBYE_S = 0.2
"""How long the other side may take to end a stream that was ended here."""
MAX_ITEMS = 2_000
"""Starts in one message, and acknowledgements: others get a turn in between."""

Stream = ClientStream[ReplicateRequest, ReplicateResponse]

_logger = logging.getLogger(__name__)


class Subscriber(Protocol):
    """A partition, as its stream sees it."""

    def start(self, subscription: int) -> FollowStart | None:
        """What to ask the leader for now; None if nothing can be asked."""
        ...

    def take(self, push: ReplicaPush) -> None:
        """A push of its subscription."""
        ...

    def acknowledge(self) -> FollowerAck:
        """What it has now."""
        ...

    def lost(self) -> None:
        """The stream broke. It will be started again on the next one."""
        ...


class FollowerStream:
    """See the module. `hello` says who follows; None while this broker is not registered."""

    def __init__(
        self,
        lane: Lane,
        address: str,
        *,
        network: Network,
        clock: Clock,
        rng: random.Random,
        hello: Callable[[], FollowerHello | None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self.address = address
        """host:port of the leader's broker. Another one may be assigned: the stream moves there."""
        self._lane = lane
        self._network = network
        self._clock = clock
        self._backoff = Backoff(RECONNECT, rng)
        self._make_hello = hello
        self._on_failure = on_failure
        self._waiting: dict[Subscriber, None] = {}
        self._subscribed: dict[int, Subscriber] = {}
        self._moved: dict[Subscriber, None] = {}
        self._stops: list[FollowStop] = []
        self._last_subscription = 0
        self._to_write = Bell()
        self._over = Bell()
        self._is_ending = False
        """This side has said all that it had to say: the other one may end the stream."""
        self._stopping = False
        self._said = ""
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many partitions are followed here, or wait to be."""
        return len(self._waiting) + len(self._subscribed)

    # --- what partitions want ---

    def join(self, subscriber: Subscriber) -> None:
        """Start it as soon as the stream is open."""
        self._waiting[subscriber] = None
        self._to_write.ring()
        if not self._stopping and (self._task is None or self._task.done()):
            self._task = run_watched(self._run(), self._on_failure)

    def leave(self, subscriber: Subscriber, subscription: int, newer: LeaderHint | None) -> None:
        """Follow it here no more, and tell the leader; `newer` is who leads in a later epoch, if known."""
        if self.forget(subscriber, subscription):
            self._stops.append(FollowStop(subscription=subscription, newer_leader=newer))
            self._to_write.ring()

    def forget(self, subscriber: Subscriber, subscription: int) -> bool:
        """The leader has ended the subscription. False if there was none."""
        self._waiting.pop(subscriber, None)
        self._moved.pop(subscriber, None)
        return self._subscribed.pop(subscription, None) is not None

    def moved(self, subscriber: Subscriber) -> None:
        """It has more than it has acknowledged."""
        self._moved[subscriber] = None
        self._to_write.ring()

    async def stop(self) -> None:
        """Say what is to be said, and end the stream."""
        self._stopping = True
        self._to_write.ring()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=GOODBYE_S)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # --- keeping it open ---

    async def _run(self) -> None:
        while len(self) and not self._stopping:
            hello = self._make_hello()
            if hello is None:
                await self._clock.sleep(UNREGISTERED_S)
                continue
            opened_at = self._clock.monotonic()
            end = await self._converse(hello)
            self._lose_all()
            if self._clock.monotonic() - opened_at >= LASTED_S:
                self._backoff.reset()
                self._said = ""
            elif len(self):
                await self._clock.sleep(self._backoff.next_wait_s())
            self._say(end)

    async def _converse(self, hello: FollowerHello) -> str:
        """One stream, to its end; returns why it ended."""
        self._over, self._is_ending = Bell(), False
        address = self.address
        channel = self._network.dial(address)
        silence = Silence(self._clock)
        try:
            stream = channel.open(REPLICATE)
            silence.listen(stream.cancel)
            await run_halves(self._read(stream, hello, silence), self._write(stream, hello, address))
        except (RpcError, StreamkeepError) as error:
            return silence.reason or str(error)
        finally:
            silence.stop()
            await channel.close()
        return "it was not needed any more"

    def _lose_all(self) -> None:
        """All that was followed waits for the next stream."""
        subscribed, self._subscribed = self._subscribed, {}
        self._moved.clear()
        self._stops.clear()
        for subscriber in subscribed.values():
            subscriber.lost()
            self._waiting[subscriber] = None

    def _say(self, end: str) -> None:
        if end != self._said:  # what is the same at each attempt is said once
            _logger.info("the %s stream to %s is over: %s", self._lane.value, self.address, end)
        self._said = end

    # --- reading ---

    async def _read(self, stream: Stream, hello: FollowerHello, silence: Silence) -> None:
        while (response := await stream.receive()) is not None:
            silence.heard()
            for push in response.pushes:
                subscriber = self._subscribed.get(push.subscription)
                if subscriber is not None:  # else it was on its way when the subscription ended
                    subscriber.take(push)
                if push.end.error.code == STALE_BROKER_EPOCH:
                    self._check_epoch(hello)
            if response.HasField("closing"):
                raise from_proto(response.closing.error)
        self._over.ring()
        if not self._is_ending:
            raise RpcError(Status.UNAVAILABLE, "the leader's broker ended it")

    def _check_epoch(self, hello: FollowerHello) -> None:
        """Raise RpcError if this broker has been registered anew since it said who it is."""
        now = self._make_hello()
        if now is None or now.broker_epoch != hello.broker_epoch:
            raise RpcError(Status.ABORTED, "this broker has another epoch by now")

    # --- writing ---

    async def _write(self, stream: Stream, hello: FollowerHello, address: str) -> None:
        await stream.send(ReplicateRequest(hello=hello))
        used_at = self._clock.monotonic()
        while not self._stopping:
            if self.address != address:
                raise RpcError(Status.ABORTED, f"the leader's broker is at {self.address} now")
            await stream.send(self._take_request())
            if len(self):
                used_at = self._clock.monotonic()
            elif self._clock.monotonic() - used_at >= IDLE_S:
                break
            await self._to_write.wait(HEARTBEAT_S)
        self._is_ending = True
        await stream.send(self._take_request())
        await stream.half_close()
        await self._over.wait(GOODBYE_S)

    def _take_request(self) -> ReplicateRequest:
        """What there is to say; nothing is a heartbeat."""
        stops, self._stops = self._stops, []
        request = ReplicateRequest(stop=stops)
        for subscriber in list(islice(self._waiting, MAX_ITEMS)):
            self._start(subscriber, request)
        for subscriber in list(islice(self._moved, MAX_ITEMS)):
            del self._moved[subscriber]
            request.acks.append(subscriber.acknowledge())
        if self._waiting or self._moved:
            self._to_write.ring()
        return request

    def _start(self, subscriber: Subscriber, request: ReplicateRequest) -> None:
        del self._waiting[subscriber]
        subscription = self._last_subscription + 1
        start = subscriber.start(subscription)
        if start is not None:
            self._last_subscription = subscription
            self._subscribed[subscription] = subscriber
            request.start.append(start)
