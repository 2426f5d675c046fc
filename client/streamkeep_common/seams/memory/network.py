"""The network of one process: every loop and thread of it reaches what any other serves.

Owns who listens where. Addresses are names only; nothing is bound.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from streamkeep_common.seams.memory.addresses import is_in_process
from streamkeep_common.seams.memory.network_server import MemoryListener
from streamkeep_common.seams.memory.network_stream import MemoryClientStream, connected
from streamkeep_common.seams.messages import parse
from streamkeep_common.seams.network import RpcError, Service, Status, StreamMethod, UnaryMethod

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)

_LOOPBACK: Final = "127.0.0.1"
_FIRST_PORT: Final = 10_000
_LAST_PORT: Final = 65_535

_listeners: dict[str, MemoryListener] = {}
"""Of this process, by address. A dict's single steps are atomic, and threads need no more here."""


class MemoryNetwork:
    """See `seams.Network`. What one of these serves, every other one reaches.

    One a server, so that `kill` can end what that server has to do with others, and nothing else.
    """

    def __init__(self) -> None:
        self._channels: dict[MemoryChannel, None] = {}
        self._served: dict[MemoryListener, None] = {}
        self._dead = False

    def dial(self, address: str) -> MemoryChannel:
        return MemoryChannel(address, self._channels)

    async def serve(self, address: str, services: Sequence[Service]) -> MemoryListener:
        if self._dead:
            raise OSError(errno.ENETDOWN, f"cannot listen on {address}: its server was killed")
        address = _settled(address)
        listener = MemoryListener(address, services, on_stop=self._stopped)
        if _listeners.setdefault(address, listener) is not listener:
            raise OSError(errno.EADDRINUSE, f"cannot listen on {address}: Address already in use")
        self._served[listener] = None
        return listener

    def kill(self) -> None:
        """As when the process behind it dies: every connection breaks, and none is made again.

        Call it in the loop that serves.
        """
        self._dead = True
        for listener in tuple(self._served):
            self._stopped(listener)
            listener.kill()
        for channel in tuple(self._channels):
            channel.kill()

    def _stopped(self, listener: MemoryListener) -> None:
        if listener in self._served:
            del self._served[listener]
            del _listeners[listener.address]


class MemoryChannel:
    """See `seams.Channel`."""

    def __init__(self, address: str, siblings: dict[MemoryChannel, None]) -> None:
        self._address = address
        self._siblings = siblings
        self._streams: dict[MemoryClientStream[Any, Any], None] = {}
        self._closed = False
        siblings[self] = None

    async def call(self, method: UnaryMethod[Q, R], request: Q, *, timeout_s: float) -> R:
        stream = self._open(method)
        try:
            async with asyncio.timeout(timeout_s):
                await stream.send(request)
                await stream.half_close()
                data = await stream.receive_bytes()
        except TimeoutError:
            raise RpcError(Status.DEADLINE_EXCEEDED, f"no answer within {timeout_s} s") from None
        finally:
            stream.cancel()
        if data is None:
            raise RpcError(Status.INTERNAL, "the call ended well without a response")
        return parse(method.response_type, data, Status.INTERNAL)

    def open(self, method: StreamMethod[Q, R]) -> MemoryClientStream[Q, R]:
        return self._open(method)

    async def close(self) -> None:
        self.kill()

    def kill(self) -> None:
        """As `close`."""
        self._closed = True
        self._siblings.pop(self, None)
        for stream in tuple(self._streams):
            stream.cancel()

    def _open(self, method: UnaryMethod[Q, R] | StreamMethod[Q, R]) -> MemoryClientStream[Q, R]:
        if self._closed:
            raise RpcError(Status.CANCELLED, "the channel is closed")
        stream: MemoryClientStream[Q, R] = MemoryClientStream(method, on_end=self._streams.pop)
        self._streams[stream] = None
        listener = _listeners.get(self._address)
        if listener is None:
            stream.end(_nobody_there(self._address))
        else:
            _check_process(listener)
            connected(stream, listener)
        return stream


def _settled(address: str) -> str:
    """With a port that is free, if 0 was asked for. OSError unless it is host:port of a host that is here."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise OSError(errno.EINVAL, f"cannot listen on {address}: it is not host:port")
    if host != _LOOPBACK and not is_in_process(address):
        raise OSError(errno.EADDRNOTAVAIL, f"cannot listen on {address}: it is not within this process")
    if int(port):
        return address
    return next(
        found for number in range(_FIRST_PORT, _LAST_PORT) if (found := f"{host}:{number}") not in _listeners
    )


def _check_process(listener: MemoryListener) -> None:
    if listener.process_id != os.getpid():
        raise RuntimeError(
            f"{listener.address} is served within the process from which this one was forked, and nowhere "
            "else: reach it from there, or start that cluster with processes=True"
        )


def _nobody_there(address: str) -> RpcError:
    return RpcError(
        Status.UNAVAILABLE,
        f"nobody serves {address} in this process: its cluster has ended, or runs in another process",
    )
