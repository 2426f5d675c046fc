"""Metrics, and the small HTTP endpoint where Prometheus fetches them.

The only importer of prometheus_client. The endpoint answers `GET /metrics` and nothing else, from the
event loop, without a thread or a task of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

__all__ = ["Counter", "Gauge", "Histogram", "Metrics", "MetricsEndpoint"]

PREFIX: Final = "streamkeep"
MAX_REQUEST_BYTES: Final = 8 * 1024
MAX_CONNECTIONS: Final = 16
EXCHANGE_TIMEOUT_S: Final = 10.0
"""For a whole exchange: who is slower, or says nothing, is dropped."""


class Metrics:
    """The metrics of one process. Names get the prefix `streamkeep_` and end in their unit.

    A value that is known anyway costs nothing if it is only asked for: `gauge(...).set_function(...)`.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._refreshes: list[Callable[[], None]] = []
        ProcessCollector(registry=self._registry)

    def counter(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(name, documentation, labels, namespace=PREFIX, registry=self._registry)

    def gauge(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(name, documentation, labels, namespace=PREFIX, registry=self._registry)

    def histogram(
        self, name: str, documentation: str, labels: Sequence[str] = (), *, buckets: Sequence[float]
    ) -> Histogram:
        return Histogram(
            name, documentation, labels, namespace=PREFIX, registry=self._registry, buckets=buckets
        )

    def before_render(self, refresh: Callable[[], None]) -> None:
        """Call this each time before the values are rendered: for those whose labels come and go."""
        self._refreshes.append(refresh)

    def render(self) -> bytes:
        """All values in Prometheus's text format."""
        for refresh in self._refreshes:
            refresh()
        return generate_latest(self._registry)


class MetricsEndpoint:
    """Serves one `Metrics` over HTTP/1.1, one request a connection."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._server: asyncio.Server | None = None
        self._connections: dict[_Exchange, None] = {}

    async def start(self, address: str) -> str:
        """Listen on host:port (port 0 = any) and say where. OSError if the address cannot be had."""
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, host.strip("[]"), int(port))
        return f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is None:
            return
        self._server.close()
        for connection in tuple(self._connections):
            connection.abort()
        await self._server.wait_closed()

    def _accept(self) -> _Exchange:
        return _Exchange(self._metrics, self._connections)


class _Exchange(asyncio.Protocol):
    """One connection: a bounded request, an answer, the end."""

    def __init__(self, metrics: Metrics, connections: dict[_Exchange, None]) -> None:
        self._metrics = metrics
        self._connections = connections
        self._request = bytearray()
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(EXCHANGE_TIMEOUT_S, transport.abort)
        self._connections[self] = None
        if len(self._connections) > MAX_CONNECTIONS:
            self._answer("503 Service Unavailable", b"too many connections\n")

    def connection_lost(self, _error: Exception | None) -> None:
        self._timer.cancel()
        del self._connections[self]

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return
        self._request += data
        if b"\r\n\r\n" in self._request:
            self._answer(*self._response())
        elif len(self._request) > MAX_REQUEST_BYTES:
            self._answer("431 Request Header Fields Too Large", b"the request is too large\n")

    def abort(self) -> None:
        self._transport.abort()

    def _response(self) -> tuple[str, bytes]:
        words = bytes(self._request).split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return "400 Bad Request", b"this is an HTTP endpoint\n"
        if words[1].partition(b"?")[0] != b"/metrics":
            return "404 Not Found", b"the metrics are at /metrics\n"
        if words[0] != b"GET":
            return "405 Method Not Allowed", b"only GET is answered\n"
        return "200 OK", self._metrics.render()

    def _answer(self, status: str, body: bytes) -> None:
        self._answered = True
        kind = CONTENT_TYPE_LATEST if status.startswith("200") else "text/plain; charset=utf-8"
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        self._transport.write(head.encode() + body)
        self._transport.close()
