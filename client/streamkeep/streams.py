"""Keeping one long stream to one broker alive: two tasks on it, and an ear for silence.

A stopped process keeps its connections open, so silence says more than a broken stream does. Brokers send
a heartbeat on every idle stream at least every 500 ms.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from streamkeep_common.errors import StreamkeepError, UnavailableError, UnknownServerError, from_rpc
from streamkeep_common.retry import RetryPolicy
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import ClientStream, RpcError, Status

SILENCE_S = 1.0
"""A broker that says nothing for so long may no longer lead: ask a coordinator."""

STILL_SILENT_S = 0.5
"""While it goes on saying nothing, ask this often: somebody else will lead soon."""

DOUBT_INTERVAL_S = 1.0
"""A broker whose leadership is unconfirmed makes the client ask a coordinator this often."""

_BROKEN = (Status.INTERNAL, Status.UNKNOWN)
"""gRPC and proxies report some broken connections so; to open the stream again tells."""

RECONNECT = RetryPolicy(first_wait_ms=20, max_wait_ms=80)
"""How to wait before a stream that ended is opened again. There is always a next try: no budget counts. A
broker that is down costs little, and each attempt in vain has a coordinator asked who leads by now."""

_logger = logging.getLogger(__name__)

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)
Q_co = TypeVar("Q_co", bound=Message, covariant=True)
R_contra = TypeVar("R_contra", bound=Message, contravariant=True)


class Conversation(Protocol[Q_co, R_contra]):
    """The two directions of a stream."""

    async def speak(self, stream: ClientStream[Q_co, R_contra]) -> None:
        """Send until cancelled."""
        ...

    def hear(self, message: R_contra) -> None:
        """Take one message."""
        ...

    def on_silence(self) -> None:
        """Nothing was heard for SILENCE_S; called again every STILL_SILENT_S for as long as that goes on."""
        ...


async def hold(
    name: str, open_stream: Callable[[], Awaitable[ClientStream[Q, R]]], conversation: Conversation[Q, R]
) -> StreamkeepError:
    """Open a stream, called `name` in the log, and `converse` on it; returns why it ended, or never began.

    Never raises: whoever sends or reads waits for this stream, and would wait for ever.
    """
    try:
        return await converse(await open_stream(), conversation)
    except RpcError as error:
        return from_rpc(error)
    except StreamkeepError as error:
        return error
    except Exception:
        _logger.exception("the %s failed for a reason nobody foresaw", name)
        return UnknownServerError("unforeseen; see the log")


async def converse(stream: ClientStream[Q, R], conversation: Conversation[Q, R]) -> StreamkeepError:
    """Speak and hear until the stream ends, and return why it did."""
    speaking = asyncio.ensure_future(_catch(conversation.speak(stream)))
    hearing = asyncio.ensure_future(_catch(_hear(stream, conversation)))
    try:
        done, _ = await asyncio.wait((speaking, hearing), return_when=asyncio.FIRST_COMPLETED)
        return next(task.result() for task in (hearing, speaking) if task in done)
    finally:
        stream.cancel()
        for task in (speaking, hearing):
            task.cancel()
        await asyncio.gather(speaking, hearing, return_exceptions=True)


async def _hear(stream: ClientStream[Q, R], conversation: Conversation[Q, R]) -> None:
    patience_s = SILENCE_S
    while True:
        try:
            async with asyncio.timeout(patience_s):
                message = await stream.receive()
        except TimeoutError:
            patience_s = STILL_SILENT_S
            conversation.on_silence()
            continue
        if message is None:
            return
        patience_s = SILENCE_S
        conversation.hear(message)


async def _catch(direction: Awaitable[None]) -> StreamkeepError:
    try:
        await direction
    except RpcError as error:
        if error.status in _BROKEN:
            return UnavailableError(error.detail)
        return from_rpc(error)
    return UnavailableError("the broker ended the stream")


class Doubt:
    """Paces the questions that a broker's `leadership_unconfirmed`, set in every message, gives rise to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._silent_until_s = 0.0

    def is_due(self) -> bool:
        """It is time to ask a coordinator again; the next time is DOUBT_INTERVAL_S later."""
        now_s = self._clock.monotonic()
        if now_s < self._silent_until_s:
            return False
        self._silent_until_s = now_s + DOUBT_INTERVAL_S
        return True
