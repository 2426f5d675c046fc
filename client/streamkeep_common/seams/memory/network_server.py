"""The serving side of the network in memory: which handler takes a call, and how its end becomes a status."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from streamkeep_common.seams.memory.network_stream import MemoryServerStream
from streamkeep_common.seams.messages import parse
from streamkeep_common.seams.network import RpcError, Service, Status, UnaryHandler, UnaryMethod

Handler = Callable[[MemoryServerStream[Any, Any]], Awaitable[None]]

_logger = logging.getLogger(__name__)


class MemoryListener:
    """See `seams.Listener`. Handlers run in the loop, and with the context variables, of who made it."""

    def __init__(
        self, address: str, services: Sequence[Service], *, on_stop: Callable[[MemoryListener], None]
    ) -> None:
        self.address = address
        self.process_id = os.getpid()
        self._home = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._on_stop = on_stop
        self._handlers: dict[str, Handler] = {}
        self._request_types: dict[str, Any] = {}
        self._calls: dict[asyncio.Task[None], MemoryServerStream[Any, Any]] = {}
        self._refusing = False
        self._stopping = False
        for service in services:
            self._add(service)

    def _add(self, service: Service) -> None:
        for unary, unary_handler in service.unary.items():
            self._handlers[unary.path] = _as_stream_handler(unary, unary_handler)
            self._request_types[unary.path] = unary.request_type
        for stream, stream_handler in service.streams.items():
            self._handlers[stream.path] = stream_handler
            self._request_types[stream.path] = stream.request_type

    def server_end(self, path: str) -> MemoryServerStream[Any, Any]:
        """For a call to come; any thread may ask."""
        return MemoryServerStream(self._home, self._request_types.get(path))

    def accept(self, path: str, stream: MemoryServerStream[Any, Any]) -> None:
        handler = self._handlers.get(path)
        if self._refusing:
            stream.finish(RpcError(Status.UNAVAILABLE, f"{self.address}: Connection refused"))
        elif handler is None:
            stream.finish(RpcError(Status.UNIMPLEMENTED, f"no method {path}"))
        else:
            call = self._home.create_task(self._run(handler, stream), context=self._context.copy())
            stream.handler = call
            self._calls[call] = stream
            call.add_done_callback(self._calls.pop)

    async def stop(self, grace_s: float) -> None:
        self._refusing = True
        self._on_stop(self)
        if self._calls:
            await asyncio.wait(tuple(self._calls), timeout=grace_s)
        self._stopping = True
        for call in tuple(self._calls):
            call.cancel()
        if self._calls:
            await asyncio.wait(tuple(self._calls))

    def kill(self) -> None:
        """Clients are told what the system tells them of a process that has died; handlers are not asked."""
        self._refusing = True
        for stream in tuple(self._calls.values()):
            stream.finish(RpcError(Status.UNAVAILABLE, "Connection closed by the server"))

    async def _run(self, handler: Handler, stream: MemoryServerStream[Any, Any]) -> None:
        try:
            await handler(stream)
        except RpcError as error:
            stream.finish(error)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            stream.finish(RpcError(Status.UNAVAILABLE, "the server is stopping"))
        except Exception:
            _logger.exception("a handler failed")
            stream.finish(RpcError(Status.INTERNAL, "internal error; the server's log has it"))
        else:
            stream.finish(None)


def _as_stream_handler(method: UnaryMethod[Any, Any], handler: UnaryHandler) -> Handler:
    async def answer(stream: MemoryServerStream[Any, Any]) -> None:
        data = await stream.receive_bytes()
        if data is None:
            raise RpcError(Status.INVALID_ARGUMENT, "a call without a request")
        request = parse(method.request_type, data, Status.INVALID_ARGUMENT)
        await stream.send(await handler(request, stream.info))

    return answer
