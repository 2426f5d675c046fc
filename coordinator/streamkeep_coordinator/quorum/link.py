"""The stream of messages to one other coordinator: opened again whenever it breaks, and when it is silent.

Nothing is kept for a peer that cannot be reached, and little for one that is slow: Raft expects that messages
are lost, and says again what matters.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random

from streamkeep_common.limits import MIB
from streamkeep_common.methods import EXCHANGE
from streamkeep_common.retry import Backoff, RetryPolicy
from streamkeep_common.seams import ClientStream, Clock, Network, RpcError
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.raft_pb2 import RaftEnvelope, RaftHello, RaftMessage, RaftRefusal

RECONNECT = RetryPolicy(first_wait_ms=50, max_wait_ms=500)
LASTED_S = 1.0
"""A stream that lived so long was a good one: the next is tried at once."""
MAX_QUEUED_MESSAGES = 1_000
MAX_QUEUED_BYTES = 48 * MIB

Stream = ClientStream[RaftEnvelope, RaftRefusal]


class Link:
    """To one directory at one address. `on_refused` gets each refusal; `on_broken` is called after each end.

    A connection to a process that stands still, or across a network that swallows packets, looks whole for
    a long time. So one on which something was sent, and whose other side has not been heard of (`heard`) for
    `silence_s` since then, is given up for a new one.
    """

    def __init__(
        self,
        network: Network,
        clock: Clock,
        rng: Random,
        address: str,
        *,
        hello: Callable[[], RaftHello],
        silence_s: float,
        on_refused: Callable[[RaftRefusal], None],
        on_broken: Callable[[], None],
    ) -> None:
        self.address = address
        self._network = network
        self._clock = clock
        self._backoff = Backoff(RECONNECT, rng)
        self._hello = hello
        self._silence_s = silence_s
        self._on_refused = on_refused
        self._on_broken = on_broken
        self._channel = network.dial(address)
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._queued = asyncio.Event()
        self._unanswered_since: float | None = None
        self._stream: Stream | None = None
        self._is_stale = False
        self._task = asyncio.create_task(self._run(), name=f"raft-link-{address}")

    def send(self, message: RaftMessage) -> None:
        """Send it after those before it, or drop it if too much waits already."""
        if self._unanswered_since is None:
            self._unanswered_since = self._clock.monotonic()
        if len(self._queue) >= MAX_QUEUED_MESSAGES or self._queued_bytes >= MAX_QUEUED_BYTES:
            return
        data = RaftEnvelope(message=message).SerializeToString()
        self._queue.append(data)
        self._queued_bytes += len(data)
        self._queued.set()

    def heard(self) -> None:
        """The other side has said something, on whichever stream."""
        self._unanswered_since = None

    def tick(self) -> None:
        """Give up a connection that has been silent for too long."""
        since = self._unanswered_since
        if since is not None and self._clock.monotonic() - since >= self._silence_s:
            self._unanswered_since = None
            self._is_stale = True
            if self._stream is not None:
                self._stream.cancel()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._channel.close()

    async def _run(self) -> None:
        while True:
            began_at = self._clock.monotonic()
            refusal = await self._converse()
            if self._clock.monotonic() - began_at >= LASTED_S:
                self._backoff.reset()
            self._forget_queue()
            self._on_broken()
            if refusal is not None and refusal.error.code != errors_pb2.NONE:
                self._on_refused(refusal)
            await self._clock.sleep(self._backoff.next_wait_s())
            if self._is_stale:
                await self._dial_again()

    async def _converse(self) -> RaftRefusal | None:
        """One stream, to its end; why it was refused, if it was."""
        stream = self._stream = self._channel.open(EXCHANGE)
        sender = asyncio.create_task(self._send_all(stream))
        try:
            return await stream.receive()
        except RpcError:
            return None
        finally:
            self._stream = None
            stream.cancel()
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def _send_all(self, stream: Stream) -> None:
        try:
            await stream.send(RaftEnvelope(hello=self._hello()))
            while True:
                while self._queue:
                    data = self._queue.popleft()
                    self._queued_bytes -= len(data)
                    await stream.send(data)
                self._queued.clear()
                await self._queued.wait()
        except RpcError:
            stream.cancel()

    async def _dial_again(self) -> None:
        self._is_stale = False
        await self._channel.close()
        self._channel = self._network.dial(self.address)

    def _forget_queue(self) -> None:
        self._queue.clear()
        self._queued_bytes = 0
