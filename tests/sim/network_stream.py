"""The two ends of a simulated stream, and the window that lets a slow reader hold up its sender."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from google.protobuf.message import Message

from streamkeep_common.seams.messages import parse, serialize
from streamkeep_common.seams.network import CallInfo, RpcError, Status, StreamMethod, UnaryMethod

if TYPE_CHECKING:
    from tests.sim.network_connection import Connection

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)

WINDOW_BYTES = 256 * 1024
"""What may be under way or unread in one direction before a sender waits; its last message may overdraw."""


class _End(ABC):
    """What both ends do: an inbox in order, and a count of what the other has not taken yet."""

    peer: Any

    def __init__(self, path: str) -> None:
        self._path = path
        self._sent = 0
        self._inbox: deque[bytes] = deque()
        self._ended = False
        self._error: RpcError | None = None
        self._untaken_bytes = 0
        self._change: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    def arrive(self, data: bytes) -> None:
        if self._ended:
            self.peer.taken(len(data))
            return
        self._inbox.append(data)
        _wake(self._change)

    def taken(self, size: int) -> None:
        self._untaken_bytes -= size
        _wake(self._room)

    async def receive_bytes(self) -> bytes | None:
        while not self._inbox:
            if self._ended:
                if self._error is None:
                    return None
                raise RpcError(self._error.status, self._error.detail)
            self._change = asyncio.get_running_loop().create_future()
            await self._change
        data = self._inbox.popleft()
        self.peer.taken(len(data))
        return data

    def _close_inbox(self, error: RpcError | None) -> None:
        self._ended = True
        self._error = error
        _wake(self._change)
        _wake(self._room)

    async def _wait_for_room(self) -> None:
        while self._untaken_bytes >= WINDOW_BYTES and self._may_send():
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    @abstractmethod
    def _may_send(self) -> bool: ...


class SimClientStream(_End, Generic[Q, R]):
    """See `seams.ClientStream`."""

    def __init__(self, connection: Connection, method: UnaryMethod[Q, R] | StreamMethod[Q, R]) -> None:
        super().__init__(method.path)
        self._connection = connection
        self._response_type = method.response_type
        self._half_closed = False

    async def send(self, message: Q | bytes) -> None:
        if self._half_closed:
            raise RuntimeError("send after half_close")
        data = serialize(message)
        try:
            await self._wait_for_room()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if self._ended:
            raise self._why_it_ended()
        copies = self._connection.message_to_server(self._path, self._sent, data, self.peer.arrive)
        self._sent += 1
        self._untaken_bytes += len(data) * copies

    async def receive(self) -> R | None:
        data = await self.receive_bytes()
        return None if data is None else parse(self._response_type, data, Status.INTERNAL)

    async def half_close(self) -> None:
        self._half_closed = True
        if not self._ended:
            self._connection.to_server("half-close", self.peer.half_closed)

    def cancel(self) -> None:
        if self._ended:
            return
        self._inbox.clear()
        self.end(RpcError(Status.CANCELLED, "the stream was cancelled"))
        self._connection.to_server("cancel", self.peer.abandon)

    def end(self, error: RpcError | None) -> None:
        """The server ended it, or the connection did. What came before it can still be received."""
        if not self._ended:
            self._close_inbox(error)
            self._connection.forget_client_end(self)

    def _may_send(self) -> bool:
        return not self._ended

    def _why_it_ended(self) -> RpcError:
        if self._error is None:
            return RpcError(Status.UNAVAILABLE, "the server has ended the stream")
        return RpcError(self._error.status, self._error.detail)


class SimServerStream(_End, Generic[Q, R]):
    """See `seams.ServerStream`."""

    def __init__(
        self, connection: Connection, method: UnaryMethod[Q, R] | StreamMethod[Q, R], info: CallInfo
    ) -> None:
        super().__init__(method.path)
        self.info = info
        self.handler: asyncio.Task[None] | None = None
        self._connection = connection
        self._request_type = method.request_type
        self._finished = False
        self._broken = False

    async def receive(self) -> Q | None:
        data = await self.receive_bytes()
        return None if data is None else parse(self._request_type, data, Status.INVALID_ARGUMENT)

    async def send(self, message: R | bytes) -> None:
        data = serialize(message)
        if self._broken:
            raise RpcError(Status.CANCELLED, "an earlier send was cancelled")
        try:
            await self._wait_for_room()
        except asyncio.CancelledError:
            self._broken = True
            raise
        if self._finished:
            raise RpcError(Status.CANCELLED, "the client has gone")
        copies = self._connection.message_to_client(self._path, self._sent, data, self.peer.arrive)
        self._sent += 1
        self._untaken_bytes += len(data) * copies

    def half_closed(self) -> None:
        self._close_inbox(None)

    def finish(self, error: RpcError | None) -> None:
        """The handler is done."""
        if self._finished:
            return
        self._give_up()
        status = "OK" if error is None else error.status.name
        self._connection.to_client(f"end {status}", lambda: self.peer.end(error))

    def abandon(self) -> None:
        """The client has gone."""
        if self._finished:
            return
        self._give_up()
        self._close_inbox(RpcError(Status.CANCELLED, "the client has gone"))
        if self.handler is not None:
            self.handler.cancel()

    def _give_up(self) -> None:
        self._finished = True
        self._ended = True
        self._connection.forget_server_end(self)
        while self._inbox:
            self.peer.taken(len(self._inbox.popleft()))

    def _may_send(self) -> bool:
        return not self._finished


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
