"""The serving side of the simulated network: which handler takes a call, and how its end becomes a status."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from streamkeep_common.seams.messages import parse
from streamkeep_common.seams.network import RpcError, Service, Status, UnaryHandler, UnaryMethod
from tests.sim.network_stream import SimServerStream
from tests.sim.processes import SimProcess

if TYPE_CHECKING:
    from tests.sim.network import Fabric

Handler = Callable[[SimServerStream[Any, Any]], Awaitable[None]]

_log = logging.getLogger(__name__)


class SimListener:
    """See `seams.Listener`."""

    def __init__(
        self, fabric: Fabric, process: SimProcess, address: str, services: Sequence[Service]
    ) -> None:
        self.address = address
        self.process = process
        self._fabric = fabric
        self._handlers: dict[str, Handler] = {}
        self._calls: dict[asyncio.Task[None], None] = {}
        self._stopping = False
        for service in services:
            for unary, unary_handler in service.unary.items():
                self._handlers[unary.path] = _as_stream_handler(unary, unary_handler)
            for stream, stream_handler in service.streams.items():
                self._handlers[stream.path] = stream_handler

    def accept(self, path: str, stream: SimServerStream[Any, Any]) -> None:
        handler = self._handlers.get(path)
        if handler is None:
            stream.finish(RpcError(Status.UNIMPLEMENTED, f"no method {path}"))
            return
        call = self.process.spawn(self._run(handler, stream))
        stream.handler = call
        self._calls[call] = None
        call.add_done_callback(lambda _: self._calls.pop(call))

    async def stop(self, grace_s: float) -> None:
        self._fabric.stop_listening(self.address)
        if self._calls:
            await asyncio.wait(tuple(self._calls), timeout=grace_s)
        self._stopping = True
        for call in tuple(self._calls):
            call.cancel()
        if self._calls:
            await asyncio.wait(tuple(self._calls))

    async def _run(self, handler: Handler, stream: SimServerStream[Any, Any]) -> None:
        try:
            await handler(stream)
        except RpcError as error:
            stream.finish(error)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            stream.finish(RpcError(Status.UNAVAILABLE, "the server is stopping"))
        except Exception:
            _log.exception("a handler failed")
            stream.finish(RpcError(Status.INTERNAL, "internal error; the server's log has it"))
        else:
            stream.finish(None)


def _as_stream_handler(method: UnaryMethod[Any, Any], handler: UnaryHandler) -> Handler:
    async def answer(stream: SimServerStream[Any, Any]) -> None:
        data = await stream.receive_bytes()
        assert data is not None, "a unary call without a request"
        request = parse(method.request_type, data, Status.INVALID_ARGUMENT)
        await stream.send(await handler(request, stream.info))

    return answer
