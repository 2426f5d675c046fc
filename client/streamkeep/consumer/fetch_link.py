"""One fetch stream to one broker, opened again as long as there is something to read there.

The shell around partition readers: it tells the broker which to start and stop and what credit they have.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple, Protocol

from streamkeep.client import Client
from streamkeep.connections import Purpose
from streamkeep.consumer.partition_reader import NOT_SUBSCRIBED, PartitionReader
from streamkeep.streams import RECONNECT, Doubt, hold
from streamkeep_common.errors import StreamkeepError
from streamkeep_common.methods import FETCH
from streamkeep_common.retry import Backoff
from streamkeep_common.seams.network import ClientStream
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.broker_pb2 import FetchCredit, FetchedPartition, FetchRequest, FetchResponse

_logger = logging.getLogger(__name__)


class Place(NamedTuple):
    """Of the partition and of its reader, as a broker is told."""

    leader_epoch: int
    """Of the partition, as far as is known; 0 = not known."""
    rack: str
    """The reader's, if it wants to be sent to a replica there; empty = it does not."""
    from_follower: bool
    """The leader has sent the reader to this broker."""


class FetchEvents(Protocol):
    """What a link needs of the fetcher that owns it."""

    def next_subscription(self) -> int:
        """A number that was never used."""
        ...

    def place(self, reader: PartitionReader) -> Place:
        """What to tell the broker of the partition and of us."""
        ...

    def on_data(self, reader: PartitionReader) -> None:
        """The reader has received something."""
        ...

    def on_ended(self, reader: PartitionReader, fetched: FetchedPartition) -> None:
        """The broker ended the subscription: with an error, or to name a replica to read from."""
        ...

    def on_refused(self, reader: PartitionReader, error: StreamkeepError) -> None:
        """The broker will not have this stream."""
        ...

    def on_trouble(self, address: str) -> None:
        """The broker may not lead what it led, nor follow what it followed: ask a coordinator."""
        ...


class FetchLink:
    """Serves the readers that read from one broker. Runs from construction until `end`."""

    def __init__(self, address: str, *, client: Client, events: FetchEvents) -> None:
        self.address = address
        self._client = client
        self._events = events
        self._subscriptions: dict[int, PartitionReader] = {}
        self._to_start: dict[PartitionReader, None] = {}
        self._to_credit: dict[PartitionReader, None] = {}
        self._to_stop: list[int] = []
        self._leaving = False
        self._doubt = Doubt(client.clock)
        self._backoff = Backoff(RECONNECT, client.rng)
        self._woken = asyncio.Event()
        self._name = f"fetch stream from broker {address}"
        self._running = asyncio.create_task(self._run(), name=f"streamkeep-fetch-{address}")

    def start(self, reader: PartitionReader) -> None:
        """Subscribe, or subscribe anew: from where the reader now wants to go on."""
        self.stop(reader)
        self._to_start[reader] = None

    def stop(self, reader: PartitionReader) -> None:
        """Nothing more of this partition is wanted from this broker."""
        self._to_start.pop(reader, None)
        self._to_credit.pop(reader, None)
        if self._subscriptions.get(reader.subscription) is reader:
            self._end(reader.subscription)
        reader.subscription = NOT_SUBSCRIBED
        self._woken.set()

    def credit(self, reader: PartitionReader) -> None:
        """The application has taken something from the reader: there may be credit to give."""
        self._to_credit[reader] = None
        self._woken.set()

    def end(self) -> asyncio.Task[None]:
        """End the stream. Returns what is to be waited for."""
        self._running.cancel()
        return self._running

    # --- Conversation ---

    async def speak(self, stream: ClientStream[FetchRequest, FetchResponse]) -> None:
        while True:
            self._woken.clear()
            request = FetchRequest()
            if not self._leaving:
                self._fill(request)
            if request.ByteSize():
                await stream.send(request)
            else:
                await self._woken.wait()

    def hear(self, message: FetchResponse) -> None:
        self._backoff.reset()
        for fetched in message.partitions:
            self._hear_of(fetched)
        if message.HasField("closing"):
            _logger.info("broker %s is leaving: %s", self.address, message.closing.error.message)
            self._leaving = True
            self._events.on_trouble(self.address)
        if message.leadership_unconfirmed and self._doubt.is_due():
            self._events.on_trouble(self.address)

    def on_silence(self) -> None:
        if self._subscriptions:
            self._events.on_trouble(self.address)

    def _hear_of(self, fetched: FetchedPartition) -> None:
        reader = self._subscriptions.get(fetched.subscription)
        if reader is None:
            return  # it was stopped while this was on its way
        if fetched.error.code != errors_pb2.NONE or fetched.HasField("preferred_replica"):
            del self._subscriptions[fetched.subscription]
            if reader.subscription == fetched.subscription:
                reader.subscription = NOT_SUBSCRIBED
                self._events.on_ended(reader, fetched)
            return
        if reader.subscription == fetched.subscription:
            reader.receive(fetched)
            self._events.on_data(reader)
        if reader.subscription != fetched.subscription:  # it met damage, now or when it opened a batch
            self._end(fetched.subscription)

    def _end(self, subscription: int) -> None:
        del self._subscriptions[subscription]
        self._to_stop.append(subscription)
        self._woken.set()

    def _fill(self, request: FetchRequest) -> None:
        """All that changed since the last request."""
        request.stop.extend(self._to_stop)
        self._to_stop.clear()
        for reader in self._to_start:
            place = self._events.place(reader)
            start = reader.subscribe(self._events.next_subscription(), **place._asdict())
            self._subscriptions[start.subscription] = reader
            request.start.append(start)
        self._to_start.clear()
        for reader in self._to_credit:
            credit_bytes = reader.take_credit()
            if credit_bytes:
                request.credit.append(FetchCredit(subscription=reader.subscription, bytes=credit_bytes))
        self._to_credit.clear()

    # --- the stream's life ---

    async def _run(self) -> None:
        while True:
            while not (self._to_start or self._subscriptions):
                self._woken.clear()
                await self._woken.wait()
            self._leaving = False
            error = await hold(self._name, self._open, self)
            _logger.info("%s ended: %s", self._name, error.message)
            self._start_over(error)
            self._events.on_trouble(self.address)
            await self._client.clock.sleep(self._backoff.next_wait_s())

    async def _open(self) -> ClientStream[FetchRequest, FetchResponse]:
        return self._client.connections.channel(self.address, Purpose.FETCH).open(FETCH)

    def _start_over(self, error: StreamkeepError) -> None:
        """Every subscription ended with the stream: each reader goes on from where it stands.

        Unless the broker refuses the stream as such, or the client was closed: trying again would never end,
        and nobody would know.
        """
        subscribed = [
            reader for number, reader in self._subscriptions.items() if reader.subscription == number
        ]
        readers = [*subscribed, *self._to_start]
        self._subscriptions.clear()
        self._to_start.clear()
        self._to_stop.clear()
        self._to_credit.clear()
        for reader in readers:
            reader.subscription = NOT_SUBSCRIBED
            if error.retriable:
                self._to_start[reader] = None
            else:
                self._events.on_refused(reader, error)
