"""The network seam: unary calls and bidirectional streams of protobuf messages.

It speaks what gRPC speaks (deadlines, cancellation, half-close, backpressure, status) without naming
it. A stream may be refused, cut or stalled at any moment: all three look like silence or `RpcError`.
Nothing here retries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)
Q_co = TypeVar("Q_co", bound=Message, covariant=True)
R_co = TypeVar("R_co", bound=Message, covariant=True)
Q_contra = TypeVar("Q_contra", bound=Message, contravariant=True)
R_contra = TypeVar("R_contra", bound=Message, contravariant=True)


class Status(Enum):
    """Why a call failed, with gRPC's names and numbers."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class RpcError(Exception):
    """A call or stream failed as a whole. Errors of single items travel inside responses."""

    def __init__(self, status: Status, detail: str) -> None:
        super().__init__(f"{status.name}: {detail}")
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True)
class UnaryMethod(Generic[Q, R]):
    """One request, one response. `path` is "/package.Service/Method"."""

    path: str
    request_type: type[Q]
    response_type: type[R]


@dataclass(frozen=True, slots=True)
class StreamMethod(Generic[Q, R]):
    """Messages both ways. A server-streaming method is one whose client half-closes after one message."""

    path: str
    request_type: type[Q]
    response_type: type[R]


@dataclass(frozen=True, slots=True)
class CallInfo:
    """What a server knows of the caller."""

    peer: str


class ClientStream(Protocol[Q_contra, R_co]):
    """The calling side of a stream. One task may send while one other receives.

    Cancelling a `receive` (a timeout around it, say) is harmless: the message goes to the next one.
    Cancelling a `send` ends the stream, since nobody could say whether the message went out. End a stream
    by receiving to its end or by `cancel`; one that is merely dropped stays open.
    """

    async def send(self, message: Q_contra | bytes) -> None:
        """Give a message (or one already serialized) to the transport.

        Waits while the peer does not take what was sent before. Raises RpcError if the stream ended
        (`receive` still gives what came before that, and how it ended); RESOURCE_EXHAUSTED, the stream
        living on, for a message over the limit; RuntimeError after `half_close`.
        """
        ...

    async def receive(self) -> R_co | None:
        """The next message, or None when the server ended the stream well. Raises RpcError otherwise."""
        ...

    async def half_close(self) -> None:
        """Say that nothing more will be sent."""
        ...

    def cancel(self) -> None:
        """End the stream now, in both directions; pending calls raise RpcError(CANCELLED)."""
        ...


class Channel(Protocol):
    """A connection to one address, made when first used and again when broken."""

    async def call(self, method: UnaryMethod[Q, R], request: Q, *, timeout_s: float) -> R:
        """Raises RpcError, with DEADLINE_EXCEEDED after `timeout_s`."""
        ...

    def open(self, method: StreamMethod[Q, R]) -> ClientStream[Q, R]:
        """Start a stream. It fails on first use if the peer cannot be reached."""
        ...

    async def close(self) -> None:
        """Cancel everything under way."""
        ...


class ServerStream(Protocol[Q_co, R_contra]):
    """The serving side of a stream. One task may send while one other receives.

    Cancelling is as with ClientStream: of a `receive` harmless, of a `send` the end of sending.
    """

    @property
    def info(self) -> CallInfo: ...

    async def receive(self) -> Q_co | None:
        """The next message, or None after the client's half-close."""
        ...

    async def send(self, message: R_contra | bytes) -> None:
        """As ClientStream.send."""
        ...


UnaryHandler = Callable[[Any, CallInfo], Awaitable[Message]]
StreamHandler = Callable[[ServerStream[Any, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Service:
    """Handlers of one protobuf service, by method.

    A handler is cancelled when its caller goes away. It may raise RpcError to end with that status;
    anything else it raises is logged and becomes INTERNAL. A stream handler that returns ends the stream.
    """

    name: str
    unary: Mapping[UnaryMethod[Any, Any], UnaryHandler]
    streams: Mapping[StreamMethod[Any, Any], StreamHandler]


class Listener(Protocol):
    """A server that accepts calls."""

    @property
    def address(self) -> str:
        """host:port, with the port that was chosen if 0 was asked for."""
        ...

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, let handlers finish for `grace_s`, then cancel them."""
        ...


class Network(Protocol):
    """Makes channels and listeners."""

    def dial(self, address: str) -> Channel:
        """A channel to host:port; no I/O yet. Two dials never share a connection."""
        ...

    async def serve(self, address: str, services: Sequence[Service]) -> Listener:
        """Listen on host:port (port 0 = any). Raises OSError if the address cannot be had."""
        ...
