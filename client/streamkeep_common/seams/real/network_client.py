"""The calling side of the gRPC network: channels and client streams."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from streamkeep_common.seams.messages import parse, serialize
from streamkeep_common.seams.network import RpcError, Status, StreamMethod, UnaryMethod
from streamkeep_common.seams.real.network_read import End, Reader
from streamkeep_common.seams.real.network_wire import CLIENT_OPTIONS, status_of

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)

_CLOSED = "the channel is closed"


class GrpcChannel:
    """One connection to one address; see `seams.Channel`."""

    def __init__(self, address: str, check_process: Callable[[], None]) -> None:
        self._check_process = check_process
        self._closed = False
        self._channel = grpc.aio.insecure_channel(address, options=CLIENT_OPTIONS)
        self._unary: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {}

    async def call(self, method: UnaryMethod[Q, R], request: Q, *, timeout_s: float) -> R:
        self._check_usable()
        callable_ = self._unary.get(method.path)
        if callable_ is None:
            callable_ = self._unary[method.path] = self._channel.unary_unary(method.path)
        try:
            data = await callable_(serialize(request), timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise _rpc_error(error) from None
        except asyncio.CancelledError:
            if _task_is_cancelled():
                raise
            raise RpcError(Status.CANCELLED, _CLOSED) from None
        return parse(method.response_type, data, Status.INTERNAL)

    def open(self, method: StreamMethod[Q, R]) -> GrpcClientStream[Q, R]:
        self._check_usable()
        return GrpcClientStream(self._channel.stream_stream(method.path)(), method)

    async def close(self) -> None:
        self._closed = True
        await self._channel.close()

    def _check_usable(self) -> None:
        self._check_process()
        if self._closed:
            raise RpcError(Status.CANCELLED, _CLOSED)


class GrpcClientStream(Generic[Q, R]):
    """See `seams.ClientStream`. Cancelling a `receive` is harmless; cancelling a `send` ends the stream,
    for nobody could say whether the message went out."""

    def __init__(self, call: grpc.aio.StreamStreamCall[Any, Any], method: StreamMethod[Q, R]) -> None:
        self._call = call
        self._write = _raw_write(call)
        self._response_type = method.response_type
        self._reader = Reader(self._read)
        self._connected = False
        self._half_closed = False

    async def send(self, message: Q | bytes) -> None:
        if self._half_closed:
            raise RuntimeError("send after half_close")
        data = serialize(message)
        try:
            if not self._connected:
                await self._call.wait_for_connection()
                self._connected = True
            await self._write(data)
        except asyncio.CancelledError:
            if _task_is_cancelled():
                self.cancel()
                raise
            raise _cancelled() from None
        except (grpc.aio.AioRpcError, grpc.aio.BaseError, asyncio.InvalidStateError):
            raise await self._why_it_ended() from None

    async def receive(self) -> R | None:
        outcome = await self._reader.next()
        if isinstance(outcome, RpcError):
            raise outcome
        return None if outcome is None else parse(self._response_type, outcome, Status.INTERNAL)

    async def half_close(self) -> None:
        self._half_closed = True
        try:
            if not self._connected:
                await self._call.wait_for_connection()
            await self._call.done_writing()
        except asyncio.CancelledError:
            if _task_is_cancelled():
                raise
        except (grpc.aio.AioRpcError, grpc.aio.BaseError):
            return  # the stream has ended: `receive` tells how

    def cancel(self) -> None:
        self._call.cancel()

    async def _read(self) -> bytes | End:
        try:
            data = await self._call.read()
        except grpc.aio.AioRpcError as error:
            return _rpc_error(error)
        except asyncio.CancelledError:
            if _task_is_cancelled():
                raise
            return _cancelled()
        return data if isinstance(data, bytes) else None

    async def _why_it_ended(self) -> RpcError:
        """The status is known once all that the server sent before it was read; until then, say what is."""
        code = await self._call.code() if self._call.done() else grpc.StatusCode.OK
        if code is grpc.StatusCode.OK:
            return RpcError(Status.UNAVAILABLE, "the server has ended the stream")
        return RpcError(status_of(code), await self._call.details() or "")


def _raw_write(call: grpc.aio.StreamStreamCall[Any, Any]) -> Callable[[bytes], Awaitable[None]]:
    """The call's write without its error handling, if this version of grpc lets us have it.

    The public `write` answers a send that comes too late by setting the call's status to INTERNAL, for
    good: the status that the server gave and the last messages that it sent could not be read any more.
    """
    inner = getattr(call, "_cython_call", None)
    write: Callable[[bytes], Awaitable[None]] = getattr(inner, "send_serialized_message", call.write)
    return write


def _rpc_error(error: grpc.aio.AioRpcError) -> RpcError:
    return RpcError(status_of(error.code()), error.details() or "")


def _cancelled() -> RpcError:
    return RpcError(Status.CANCELLED, "the stream was cancelled")


def _task_is_cancelled() -> bool:
    """Inside `except CancelledError`: grpc raises that for a cancelled call as well as for a task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
