from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from streamkeep_common.server import metrics as module
from streamkeep_common.server.metrics import Metrics, MetricsEndpoint


@asynccontextmanager
async def serving(metrics: Metrics) -> AsyncIterator[tuple[str, int]]:
    endpoint = MetricsEndpoint(metrics)
    host, _, port = (await endpoint.start("127.0.0.1:0")).rpartition(":")
    try:
        yield host, int(port)
    finally:
        async with asyncio.timeout(5):
            await endpoint.stop()


async def exchange(address: tuple[str, int], request: bytes) -> tuple[str, str]:
    """Status line and body."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(request)
    async with asyncio.timeout(5):
        answer = await reader.read()
    await hang_up(writer)
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0].decode(), body.decode()


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def test_what_was_counted_is_served() -> None:
    metrics = Metrics()
    metrics.counter("produced_records", "Records appended.", ["topic"]).labels("flights").inc(3)
    metrics.gauge("partitions", "Partitions hosted.").set(6)
    metrics.histogram("flush_seconds", "Time of a flush.", buckets=(0.001, 0.01)).observe(0.002)
    async with serving(metrics) as address:
        status, body = await exchange(address, get("/metrics"))
    assert status == "HTTP/1.1 200 OK"
    assert 'streamkeep_produced_records_total{topic="flights"} 3.0' in body
    assert "streamkeep_partitions 6.0" in body
    assert 'streamkeep_flush_seconds_bucket{le="0.01"} 1.0' in body
    assert "process_resident_memory_bytes" in body


async def test_what_is_known_anyway_is_asked_for_at_each_fetch() -> None:
    asked = itertools.count(1)
    metrics = Metrics()
    metrics.gauge("asked", "Times.").set_function(lambda: next(asked))
    first, second = metrics.render(), metrics.render()
    assert b"streamkeep_asked 1.0" in first
    assert b"streamkeep_asked 2.0" in second


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (get("/"), "404 Not Found"),
        (get("/metrics/../etc/passwd"), "404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        (b"\x16\x03\x01\r\n\r\n", "400 Bad Request"),
        (b"GET /metrics\r\n\r\n", "400 Bad Request"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 9000, "431 Request Header Fields Too Large"),
    ],
)
async def test_everything_but_get_metrics_is_refused(request_bytes: bytes, status: str) -> None:
    async with serving(Metrics()) as address:
        assert (await exchange(address, request_bytes))[0] == f"HTTP/1.1 {status}"
        assert (await exchange(address, get("/metrics?name=x")))[0] == "HTTP/1.1 200 OK"


async def test_a_request_may_come_in_pieces() -> None:
    async with serving(Metrics()) as address:
        reader, writer = await asyncio.open_connection(*address)
        for piece in (b"GET /met", b"rics HTTP/1.1\r", b"\n\r", b"\n"):
            writer.write(piece)
            await asyncio.sleep(0)
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        await hang_up(writer)


async def test_a_client_that_says_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXCHANGE_TIMEOUT_S", 0.02)
    async with serving(Metrics()) as address:
        reader, writer = await asyncio.open_connection(*address)
        with suppress(ConnectionError):
            async with asyncio.timeout(5):
                assert await reader.read() == b""
        await hang_up(writer)


async def test_more_connections_than_a_few_are_turned_away_and_stopping_drops_the_rest() -> None:
    async with serving(Metrics()) as address:
        held = [await asyncio.open_connection(*address) for _ in range(module.MAX_CONNECTIONS)]
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(*address)
            assert (await reader.readline()) == b"HTTP/1.1 503 Service Unavailable\r\n"
        await hang_up(writer)
    for _, writer in held:
        await hang_up(writer)


async def test_a_taken_port_is_an_os_error() -> None:
    async with serving(Metrics()) as (host, port):
        with pytest.raises(OSError, match="address already in use"):
            await MetricsEndpoint(Metrics()).start(f"{host}:{port}")
