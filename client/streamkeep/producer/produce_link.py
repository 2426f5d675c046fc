"""One produce stream to one broker, opened again as long as there is something to send.

The shell around `Dispatch`: it encodes what that hands out, and passes on what the broker answers.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from streamkeep.client import Client
from streamkeep.connections import Purpose
from streamkeep.producer.dispatch import Dispatch, Sent
from streamkeep.streams import RECONNECT, Doubt, hold
from streamkeep_common.errors import StreamkeepError
from streamkeep_common.methods import PRODUCE
from streamkeep_common.records import Codec
from streamkeep_common.retry import Backoff
from streamkeep_common.seams.network import ClientStream
from streamkeep_proto.v1.broker_pb2 import ProduceRequest, ProduceResponse, ProduceResult

_logger = logging.getLogger(__name__)


class ProduceEvents(Protocol):
    """What a link needs of the sender that owns it."""

    async def producer_id(self, address: str) -> int:
        """This producer's id, asked for at `address` if it has none yet."""
        ...

    def leader_epoch(self, sent: Sent) -> int:
        """The epoch of the partition's leader, as far as is known."""
        ...

    def on_request(self, batches: list[Sent]) -> None:
        """These are about to be sent, as one request."""
        ...

    def on_result(self, sent: Sent, result: ProduceResult) -> None:
        """The broker answered for one batch."""
        ...

    def on_unsendable(self, sent: Sent, error: StreamkeepError) -> None:
        """A batch could not be encoded."""
        ...

    def on_trouble(self) -> None:
        """The broker may not lead what it led: ask a coordinator."""
        ...

    def on_lost(self, address: str, unanswered: list[Sent], error: StreamkeepError) -> None:
        """The stream to the broker ended, perhaps before these were answered."""
        ...


class ProduceLink:
    """Serves the queues that one broker leads. Runs from construction until `end`."""

    def __init__(
        self, address: str, *, client: Client, dispatch: Dispatch, codec: Codec, events: ProduceEvents
    ) -> None:
        self.address = address
        self.dispatch = dispatch
        self._client = client
        self._codec = codec
        self._events = events
        self._producer_id = 0
        self._leaving = False
        self._doubt = Doubt(client.clock)
        self._backoff = Backoff(RECONNECT, client.rng)
        self._woken = asyncio.Event()
        self._name = f"produce stream to broker {address}"
        self._running = asyncio.create_task(self._run(), name=f"streamkeep-produce-{address}")

    def wake(self) -> None:
        """The dispatch has something new to look at."""
        self._woken.set()

    def end(self) -> asyncio.Task[None]:
        """End the stream; what was not answered is left as it is. Returns what is to be waited for."""
        self._running.cancel()
        return self._running

    # --- Conversation ---

    async def speak(self, stream: ClientStream[ProduceRequest, ProduceResponse]) -> None:
        while True:
            self._woken.clear()
            asked = None if self._leaving else self.dispatch.next_request(self._client.clock.monotonic())
            if asked is None:
                await self._wait_for_work()
            elif (request := self._encode(*asked)).batches:
                await stream.send(request)

    def hear(self, message: ProduceResponse) -> None:
        self._backoff.reset()
        for result in message.results:
            sent = self.dispatch.take_answered(result.request_id, result.topic_id, result.partition)
            if sent is not None:
                self._events.on_result(sent, result)
        if message.results:
            self.wake()
        if message.HasField("closing"):
            _logger.info("broker %s is leaving: %s", self.address, message.closing.error.message)
            self._leaving = True
            self._events.on_trouble()
        if message.leadership_unconfirmed and self._doubt.is_due():
            self._events.on_trouble()

    def on_silence(self) -> None:
        if self.dispatch.is_waiting():
            self._events.on_trouble()

    # --- the stream's life ---

    async def _run(self) -> None:
        while True:
            while not self.dispatch.has_work():
                self._woken.clear()
                await self._woken.wait()
            self._leaving = False
            error = await hold(self._name, self._open, self)
            _logger.info("%s ended: %s", self._name, error.message)
            self._events.on_lost(self.address, self.dispatch.take_unanswered(), error)
            await self._client.clock.sleep(self._backoff.next_wait_s())

    async def _open(self) -> ClientStream[ProduceRequest, ProduceResponse]:
        self._producer_id = await self._events.producer_id(self.address)
        return self._client.connections.channel(self.address, Purpose.PRODUCE).open(PRODUCE)

    def _encode(self, request_id: int, batches: list[Sent]) -> ProduceRequest:
        request = ProduceRequest(request_id=request_id)
        encoded: list[Sent] = []
        for sent in batches:
            queue = sent.queue
            try:
                batch = sent.batch.encode(self._codec, self._producer_id)
            except StreamkeepError as error:
                self.dispatch.take_answered(request_id, queue.topic_id, queue.partition)
                self._events.on_unsendable(sent, error)
                continue
            entry = request.batches.add(
                topic_id=queue.topic_id,
                partition=queue.partition,
                leader_epoch=self._events.leader_epoch(sent),
            )
            entry.batch.CopyFrom(batch)  # a tenth of what the constructor takes for it
            encoded.append(sent)
        if encoded:
            self._events.on_request(encoded)
        return request

    async def _wait_for_work(self) -> None:
        """Until something new may be ready, or a lingering batch is due."""
        due_s = None if self._leaving else self.dispatch.next_due_s()
        if due_s is None:
            await self._woken.wait()
            return
        timer = asyncio.get_running_loop().call_later(due_s - self._client.clock.monotonic(), self._woken.set)
        try:
            await self._woken.wait()
        finally:
            timer.cancel()
