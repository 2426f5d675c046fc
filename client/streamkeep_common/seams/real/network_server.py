"""The serving side of the gRPC network: generic handlers made of the seam's services.

Every stream method is registered as stream-to-stream: on the wire a server-streaming call is one whose
client half-closes after its first message.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from streamkeep_common.seams.messages import parse, serialize
from streamkeep_common.seams.network import (
    CallInfo,
    RpcError,
    Service,
    Status,
    StreamHandler,
    StreamMethod,
    UnaryHandler,
    UnaryMethod,
)
from streamkeep_common.seams.real.network_read import End, Reader
from streamkeep_common.seams.real.network_tools import Reflection, add_health
from streamkeep_common.seams.real.network_wire import SERVER_OPTIONS, code_of
from streamkeep_common.seams.real.network_write import Writing

if TYPE_CHECKING:
    from grpc_health.v1.health.aio import HealthServicer

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)
Context = grpc.aio.ServicerContext[Any, Any]

CANCELLATION_S: Final = 0.5
"""How long a cancelled handler may take to end before its client is told without it."""
MAX_DETAIL_CHARACTERS: Final = 1_000
"""Trailing metadata that is too large would replace the status by another."""
NEVER_S: Final = 3_600.0
STRANGERS_GRACE_S: Final = 0.1
"""What a stopping server leaves to calls that are not ours, such as a watch on the health service."""
HALF_CLOSE_SETTLES_S: Final = 0.02
"""grpc.aio reads the same end of messages from a client that half-closed and from one that died, and
cancels the handler of the latter up to some milliseconds later. Waiting tells them apart."""

_logger = logging.getLogger(__name__)


async def listen(address: str, services: Sequence[Service]) -> GrpcListener:
    """Serve on host:port (port 0 = any). OSError says why if the address cannot be had."""
    host, _, port_text = address.rpartition(":")
    if not host or not port_text.isdecimal():
        raise OSError(errno.EINVAL, f"cannot listen on {address}: it is not host:port")
    server = grpc.aio.server(options=SERVER_OPTIONS)
    calls = _RunningCalls()
    names = [service.name for service in services]
    server.add_generic_rpc_handlers(
        (*(_handlers_of(service, calls) for service in services), Reflection(names))
    )
    health = await add_health(server, names)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        await server.stop(None)
        raise _why_not(host, int(port_text)) from None
    await server.start()
    return GrpcListener(f"{host}:{port}", server, calls, health)


class GrpcListener:
    """A running server; see `seams.Listener`."""

    def __init__(
        self, address: str, server: grpc.aio.Server, calls: _RunningCalls, health: HealthServicer
    ) -> None:
        self.address = address
        self._server = server
        self._calls = calls
        self._health = health

    async def stop(self, grace_s: float) -> None:
        await self._health.enter_graceful_shutdown()
        # The grace is ours to give. gRPC's own must not run out meanwhile: if it does so while another
        # `stop` completes, the C core crashes.
        refusing = asyncio.ensure_future(self._server.stop(grace_s + NEVER_S))
        # A watch on the health service never ends by itself, but what it was just told has to get out.
        await asyncio.gather(self._calls.end(grace_s), asyncio.sleep(min(grace_s, STRANGERS_GRACE_S)))
        await self._server.stop(None)
        await refusing


class _RunningCalls:
    """The tasks of handlers, so that stopping ends them with a status that tells clients to come again."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._stopping = False

    async def run(self, handler: Awaitable[Any], context: Context) -> Any:
        """What the handler returns; its failure becomes the call's status."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = None
        try:
            return await handler
        except RpcError as error:
            await _abort(context, error.status, error.detail)
        except asyncio.CancelledError:
            if not self._stopping:
                raise  # the caller has gone
            task.uncancel()
            await _abort(context, Status.UNAVAILABLE, "the server is stopping")
        except Exception:
            _logger.exception("a handler failed")
            await _abort(context, Status.INTERNAL, "internal error; the server's log has it")
        finally:
            del self._tasks[task]

    async def end(self, grace_s: float) -> None:
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=grace_s)
        self._stopping = True
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=CANCELLATION_S)


class GrpcServerStream(Generic[Q, R]):
    """See `seams.ServerStream`. Cancelling a `receive` is harmless; cancelling a `send` ends the stream."""

    def __init__(self, context: Context, method: StreamMethod[Q, R]) -> None:
        self.info = CallInfo(context.peer())
        self._context = context
        self._request_type = method.request_type
        self._reader = Reader(self._read)
        self._writing: Writing | None = None
        self._broken = False

    async def receive(self) -> Q | None:
        outcome = await self._reader.next()
        if isinstance(outcome, RpcError):
            raise outcome
        return None if outcome is None else parse(self._request_type, outcome, Status.INVALID_ARGUMENT)

    async def send(self, message: R | bytes) -> None:
        data = serialize(message)
        if self._broken:
            raise RpcError(Status.CANCELLED, "an earlier send was cancelled")
        self._writing = Writing(self._context.write(data))
        try:
            await self._writing.wait()
        except asyncio.CancelledError:
            self._broken = True
            raise
        except grpc.aio.BaseError:
            raise _client_gone() from None

    async def settle(self) -> None:
        """Wait for the message whose `send` was cancelled: before it is out gRPC takes no status, and the
        client would wait for the end of the stream for ever. One that never reads keeps the call, and that
        message, until it goes: gRPC's servers cannot end a stream past a message."""
        if self._writing is not None:
            await self._writing.settle()

    def close(self) -> None:
        self._reader.close()

    async def _read(self) -> bytes | End:
        try:
            data = await self._context.read()
        except grpc.aio.BaseError:
            return _client_gone()
        if isinstance(data, bytes):
            return data
        await asyncio.sleep(HALF_CLOSE_SETTLES_S)
        return None


def _handlers_of(service: Service, calls: _RunningCalls) -> grpc.GenericRpcHandler:
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for method, unary in service.unary.items():
        handlers[_name(method)] = grpc.unary_unary_rpc_method_handler(_unary(method, unary, calls))
    for stream_method, stream in service.streams.items():
        handlers[_name(stream_method)] = grpc.stream_stream_rpc_method_handler(
            _stream(stream_method, stream, calls)
        )
    return grpc.method_handlers_generic_handler(service.name, handlers)


def _name(method: UnaryMethod[Any, Any] | StreamMethod[Any, Any]) -> str:
    return method.path.rpartition("/")[2]


def _unary(
    method: UnaryMethod[Any, Any], handler: UnaryHandler, calls: _RunningCalls
) -> Callable[[bytes, Context], Awaitable[bytes]]:
    async def answer(data: bytes, context: Context) -> bytes:
        request = parse(method.request_type, data, Status.INVALID_ARGUMENT)
        return serialize(await handler(request, CallInfo(context.peer())))

    async def serve(data: bytes, context: Context) -> bytes:
        response: bytes = await calls.run(answer(data, context), context)
        return response

    return serve


def _stream(
    method: StreamMethod[Any, Any], handler: StreamHandler, calls: _RunningCalls
) -> Callable[[Any, Context], Awaitable[None]]:
    async def talk(stream: GrpcServerStream[Any, Any]) -> None:
        try:
            await handler(stream)
        finally:
            await stream.settle()

    async def serve(_requests: Any, context: Context) -> None:
        stream: GrpcServerStream[Any, Any] = GrpcServerStream(context, method)
        try:
            await calls.run(talk(stream), context)
        finally:
            stream.close()

    return serve


async def _abort(context: Context, status: Status, detail: str) -> NoReturn:
    await context.abort(code_of(status), detail[:MAX_DETAIL_CHARACTERS])


def _client_gone() -> RpcError:
    return RpcError(Status.CANCELLED, "the client has gone")


def _why_not(host: str, port: int) -> OSError:
    """gRPC says only that it could not bind: ask the system for the reason."""
    number = errno.EADDRINUSE
    reason = os.strerror(number)
    try:
        family, kind, _, _, name = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(name)
            probe.listen()
    except OSError as error:
        number, reason = error.errno or number, error.strerror or reason
    except OverflowError:
        number, reason = errno.EINVAL, "no such port"
    return OSError(number, f"cannot listen on {host}:{port}: {reason}")
