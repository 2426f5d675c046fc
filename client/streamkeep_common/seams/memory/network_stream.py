"""The two ends of a stream within one process, each at home in an event loop of its own.

What one end tells the other is done in the other's loop, in the order in which it was told; nothing else of
an end is touched by another thread. A loop that was closed counts as a peer that has gone.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from google.protobuf.message import Message

from streamkeep_common.seams.messages import parse, serialize
from streamkeep_common.seams.network import CallInfo, RpcError, Status, StreamMethod, UnaryMethod

if TYPE_CHECKING:
    from streamkeep_common.seams.memory.network_server import MemoryListener

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)

WINDOW_BYTES: Final = 1024 * 1024
"""What may be under way or unread in one direction before a sender waits; its last message may overdraw."""
_CREDIT_BYTES: Final = WINDOW_BYTES // 4
"""The sender is told what was read once it is so much: a wake-up of its loop costs more than a message."""


class _End(ABC):
    """What both ends do: an inbox in order, and a count of what the other has not taken yet."""

    peer: Any

    def __init__(self, home: asyncio.AbstractEventLoop) -> None:
        self._home = home
        self._inbox: deque[bytes] = deque()
        self._ended = False
        self._error: RpcError | None = None
        self._untaken_bytes = 0
        self._credit_bytes = 0
        self._change: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    def tell(self, action: Callable[..., None], *arguments: Any) -> bool:
        """Have this end do something, at home. False if its loop is closed."""
        if _is_running_here(self._home):
            action(*arguments)
            return True
        try:
            self._home.call_soon_threadsafe(action, *arguments)
        except RuntimeError:
            return False
        return True

    def arrive(self, data: bytes) -> None:
        if not self._ended:
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
            self._change = self._home.create_future()
            await self._change
        data = self._inbox.popleft()
        self._credit_bytes += len(data)
        if self._credit_bytes >= _CREDIT_BYTES:
            self.peer.tell(self.peer.taken, self._credit_bytes)
            self._credit_bytes = 0
        return data

    def _close_inbox(self, error: RpcError | None) -> None:
        self._ended = True
        self._error = error
        _wake(self._change)
        _wake(self._room)

    async def _wait_for_room(self) -> None:
        while self._untaken_bytes >= WINDOW_BYTES and self._may_send():
            self._room = self._home.create_future()
            await self._room

    def _pass_on(self, data: bytes) -> bool:
        """False if the other has gone without a word."""
        self._untaken_bytes += len(data)
        return bool(self.peer.tell(self.peer.arrive, data))

    @abstractmethod
    def _may_send(self) -> bool: ...


class MemoryClientStream(_End, Generic[Q, R]):
    """See `seams.ClientStream`. Its home is the loop that opens it."""

    def __init__(
        self,
        method: UnaryMethod[Q, R] | StreamMethod[Q, R],
        *,
        on_end: Callable[[MemoryClientStream[Q, R], None], None],
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self.path = method.path
        self._response_type = method.response_type
        self._on_end = on_end
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
        if not self._ended and not self._pass_on(data):
            self.end(RpcError(Status.UNAVAILABLE, "the server has gone"))
        if self._ended:
            raise self._why_it_ended()

    async def receive(self) -> R | None:
        data = await self.receive_bytes()
        return None if data is None else parse(self._response_type, data, Status.INTERNAL)

    async def half_close(self) -> None:
        self._half_closed = True
        if not self._ended:
            self.peer.tell(self.peer.half_closed)

    def cancel(self) -> None:
        if _is_running_here(self._home):
            self._cancel()
        else:
            self.tell(self._cancel)

    def _cancel(self) -> None:
        if self._ended:
            return
        self._inbox.clear()
        self.end(RpcError(Status.CANCELLED, "the stream was cancelled"))
        self.peer.tell(self.peer.abandon)

    def end(self, error: RpcError | None) -> None:
        """The server ended it, or has gone. What came before can still be received."""
        if not self._ended:
            self._close_inbox(error)
            self._on_end(self, None)

    def _may_send(self) -> bool:
        return not self._ended

    def _why_it_ended(self) -> RpcError:
        if self._error is None:
            return RpcError(Status.UNAVAILABLE, "the server has ended the stream")
        return RpcError(self._error.status, self._error.detail)


class MemoryServerStream(_End, Generic[Q, R]):
    """See `seams.ServerStream`. Its home is the loop that listens."""

    def __init__(self, home: asyncio.AbstractEventLoop, request_type: type[Q] | None) -> None:
        super().__init__(home)
        self.info = CallInfo("in-process")
        self.request_type = request_type
        self.handler: asyncio.Task[None] | None = None
        self._finished = False
        self._broken = False

    async def receive(self) -> Q | None:
        data = await self.receive_bytes()
        assert self.request_type is not None, "a method that nobody handles"
        return None if data is None else parse(self.request_type, data, Status.INVALID_ARGUMENT)

    async def send(self, message: R | bytes) -> None:
        data = serialize(message)
        if self._broken:
            raise RpcError(Status.CANCELLED, "an earlier send was cancelled")
        try:
            await self._wait_for_room()
        except asyncio.CancelledError:
            self._broken = True
            raise
        if not self._finished and not self._pass_on(data):
            self.abandon()
        if self._finished:
            raise RpcError(Status.CANCELLED, "the client has gone")

    def half_closed(self) -> None:
        if not self._ended:
            self._close_inbox(None)

    def finish(self, error: RpcError | None) -> None:
        """The handler is done."""
        if not self._finished:
            self._give_up()
            self.peer.tell(self.peer.end, error)

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
        self._inbox.clear()

    def _may_send(self) -> bool:
        return not self._finished


def connected(client: MemoryClientStream[Any, Any], listener: MemoryListener) -> None:
    """Give the client's end a server's end, and have the call accepted."""
    server = listener.server_end(client.path)
    client.peer, server.peer = server, client
    if not server.tell(listener.accept, client.path, server):
        client.end(RpcError(Status.UNAVAILABLE, f"{listener.address}: the loop that served it is closed"))


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
