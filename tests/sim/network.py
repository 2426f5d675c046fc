"""The simulated network: hosts, connections between them, and everything that can go wrong.

Messages travel as bytes. Within a connection they arrive in order, as over TCP: what a bad network does
is to delay them, to stop them while a pair of hosts is cut off, and to break the connection. For methods
that promise to bear it, single messages are also lost, repeated and overtaken (see `network_weather`).
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from streamkeep_common.seams.messages import parse
from streamkeep_common.seams.network import RpcError, Service, Status, StreamMethod, UnaryMethod
from tests.sim.network_connection import Connection
from tests.sim.network_server import SimListener
from tests.sim.network_stream import SimClientStream
from tests.sim.network_weather import Tap, Weather
from tests.sim.processes import SimProcess
from tests.sim.trace import Trace

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)

CONNECT_TIMEOUT_S = 1.0
KEEPALIVE_S = 15.0
"""How long an open connection survives a cut: as the real network's ping and its timeout together."""


class Fabric:
    """All hosts of one simulation and what lies between them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, rng: random.Random, trace: Trace) -> None:
        self.weather = Weather()
        self.taps: dict[str, Tap] = {}
        """By the path of a method: who sees each message as it is sent."""
        self._loop = loop
        self._rng = rng
        self._trace = trace
        self._context = contextvars.copy_context()  # of no process: what is on its way survives its sender
        self._listeners: dict[str, SimListener] = {}
        self._connections: dict[Connection, None] = {}
        self._cuts: dict[tuple[str, str], object] = {}
        self._next_port = 7_000

    def join(self, process: SimProcess) -> SimNetwork:
        """The network as that process sees it."""
        process.at_kill(lambda: self._close_all_of(process))
        return SimNetwork(self, process)

    def cut(self, source: str, target: str) -> None:
        """Stop what goes from host to host, this way only. What was sent waits; KEEPALIVE_S breaks it."""
        mark = self._cuts.setdefault((source, target), object())
        self.note("cut", f"{source}>{target}")
        self.later(KEEPALIVE_S, lambda: self._expire(source, target, mark))

    def cut_both(self, one: str, other: str) -> None:
        self.cut(one, other)
        self.cut(other, one)

    def mend(self, source: str, target: str) -> None:
        """End one cut, if there is one."""
        if self._cuts.pop((source, target), None) is not None:
            self.note("mend", f"{source}>{target}")
            self._resume_all()

    def heal(self) -> None:
        """End all cuts."""
        self._cuts.clear()
        self.note("heal", "")
        self._resume_all()

    def break_connections(self, one: str, other: str) -> None:
        """Break all connections between two hosts; both may connect again at once."""
        for connection in tuple(self._connections):
            if {connection.client_host, connection.server_host} == {one, other}:
                connection.break_off("connection reset")

    def is_cut(self, source: str, target: str) -> bool:
        return (source, target) in self._cuts

    def note(self, kind: str, detail: str) -> None:
        self._trace.note(self._loop.time(), f"network.{kind}", detail)

    def time(self) -> float:
        return self._loop.time()

    def latency_s(self) -> float:
        spike = self._rng.random() < self.weather.spike_odds
        return self._rng.uniform(*self.weather.latency_s) + (self.weather.spike_s if spike else 0.0)

    def breaks(self) -> bool:
        """Whether this message is the one that breaks its connection."""
        return self._rng.random() < self.weather.break_odds

    def fates(self, path: str) -> list[float]:
        """For each copy of a message that is going to arrive: how long it waits before it goes its way."""
        weather = self.weather.of_messages.get(path)
        if weather is None:
            return [0.0]
        fates = weather.fates(self._rng)
        counts = self._trace.counts
        counts["message lost"] += not fates
        counts["message repeated"] += len(fates) > 1
        counts["message late"] += any(fates)
        return fates

    def slowness_s(self, path: str) -> float:
        """What a message of that method takes longer than others, and all behind it on its connection."""
        weather = self.weather.of_messages.get(path)
        return 0.0 if weather is None else weather.slowness_s(self._rng)

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        self._loop.call_later(delay_s, action, context=self._context)

    def connect(self, process: SimProcess, address: str) -> Connection:
        connection = Connection(self, process, address)
        self._connections[connection] = None
        self.later(CONNECT_TIMEOUT_S, connection.give_up_connecting)
        return connection

    def forget(self, connection: Connection) -> None:
        self._connections.pop(connection, None)

    def listener_at(self, address: str) -> SimListener | None:
        return self._listeners.get(address)

    def listen(self, process: SimProcess, address: str, services: Sequence[Service]) -> SimListener:
        host, _, port = address.rpartition(":")
        if host != process.name:
            raise OSError(
                errno.EADDRNOTAVAIL, f"cannot listen on {address}: not an address of {process.name}"
            )
        if port == "0":
            self._next_port += 1
            address = f"{host}:{self._next_port}"
        if address in self._listeners:
            raise OSError(errno.EADDRINUSE, f"cannot listen on {address}: Address already in use")
        listener = SimListener(self, process, address, services)
        self._listeners[address] = listener
        return listener

    def stop_listening(self, address: str) -> None:
        self._listeners.pop(address, None)

    def _resume_all(self) -> None:
        for connection in tuple(self._connections):
            connection.resume()

    def _close_all_of(self, process: SimProcess) -> None:
        self.note("kill", process.name)
        for listener in tuple(self._listeners.values()):
            if listener.process is process:
                self.stop_listening(listener.address)
        for connection in tuple(self._connections):
            connection.close_end_of(process)

    def _expire(self, source: str, target: str, mark: object) -> None:
        if self._cuts.get((source, target)) is not mark:
            return
        for connection in tuple(self._connections):
            if {connection.client_host, connection.server_host} == {source, target}:
                connection.break_off("keepalive timed out", at_once=True)


class SimNetwork:
    """The network of one simulated process; see `seams.Network`."""

    def __init__(self, fabric: Fabric, process: SimProcess) -> None:
        self._fabric = fabric
        self._process = process

    def dial(self, address: str) -> SimChannel:
        return SimChannel(self._fabric, self._process, address)

    async def serve(self, address: str, services: Sequence[Service]) -> SimListener:
        return self._fabric.listen(self._process, address, services)


class SimChannel:
    """See `seams.Channel`."""

    def __init__(self, fabric: Fabric, process: SimProcess, address: str) -> None:
        self._fabric = fabric
        self._process = process
        self._address = address
        self._connection: Connection | None = None
        self._closed = False

    async def call(self, method: UnaryMethod[Q, R], request: Q, *, timeout_s: float) -> R:
        stream: SimClientStream[Q, R] = self._open(method)
        try:
            async with asyncio.timeout(timeout_s):
                await stream.send(request)
                await stream.half_close()
                data = await stream.receive_bytes()
                assert data is not None, "a unary call ended well without a response"
        except TimeoutError:
            raise RpcError(Status.DEADLINE_EXCEEDED, f"no answer within {timeout_s} s") from None
        finally:
            stream.cancel()
        return parse(method.response_type, data, Status.INTERNAL)

    def open(self, method: StreamMethod[Q, R]) -> SimClientStream[Q, R]:
        return self._open(method)

    async def close(self) -> None:
        self._closed = True
        if self._connection is not None:
            self._connection.close_end_of(self._process)

    def _open(self, method: UnaryMethod[Q, R] | StreamMethod[Q, R]) -> SimClientStream[Q, R]:
        if self._closed:
            raise RpcError(Status.CANCELLED, "the channel is closed")
        if self._connection is None or not self._connection.alive:
            self._connection = self._fabric.connect(self._process, self._address)
        return self._connection.open(method)
