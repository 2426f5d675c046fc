"""One simulated connection: a wire each way, and the streams that share it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from streamkeep_common.seams.network import CallInfo, RpcError, Status, StreamMethod, UnaryMethod
from tests.sim.network_stream import SimClientStream, SimServerStream
from tests.sim.processes import SimProcess

if TYPE_CHECKING:
    from tests.sim.network import Fabric


Arrive = Callable[[bytes], None]


class Wire:
    """Carries actions from host to host, in order, each after its latency. Stands still while cut."""

    def __init__(self, fabric: Fabric, source: str, target: str) -> None:
        self._fabric = fabric
        self._source = source
        self._target = target
        self._actions: deque[tuple[float, str, Callable[[], None]]] = deque()
        self._armed = False

    def send(self, label: str, action: Callable[[], None], slowness_s: float = 0.0) -> None:
        self._actions.append((self._fabric.time() + self._fabric.latency_s() + slowness_s, label, action))
        self.resume()

    def resume(self) -> None:
        if self._actions and not self._armed:
            self._armed = True
            self._fabric.later(max(0.0, self._actions[0][0] - self._fabric.time()), self._arrive)

    def clear(self) -> None:
        self._actions.clear()

    def _arrive(self) -> None:
        self._armed = False
        if not self._actions or self._fabric.is_cut(self._source, self._target):
            return
        if self._actions[0][0] <= self._fabric.time():
            _, label, action = self._actions.popleft()
            self._fabric.note("arrive", f"{self._source}>{self._target} {label}")
            action()
        self.resume()


class Connection:
    """Made by the client when it is first used. Streams end with it."""

    def __init__(self, fabric: Fabric, client: SimProcess, address: str) -> None:
        self.client_host = client.name
        self.server_host = address.rpartition(":")[0]
        self.alive = True
        self._broken = False
        self._fabric = fabric
        self._client = client
        self._server: SimProcess | None = None
        self._address = address
        self._to_server = Wire(fabric, self.client_host, self.server_host)
        self._to_client = Wire(fabric, self.server_host, self.client_host)
        self._client_ends: dict[SimClientStream[Any, Any], None] = {}
        self._server_ends: dict[SimServerStream[Any, Any], None] = {}

    def open(self, method: UnaryMethod[Any, Any] | StreamMethod[Any, Any]) -> SimClientStream[Any, Any]:
        client_end: SimClientStream[Any, Any] = SimClientStream(self, method)
        server_end: SimServerStream[Any, Any] = SimServerStream(
            self, method, CallInfo(f"sim:{self.client_host}")
        )
        client_end.peer, server_end.peer = server_end, client_end
        self._client_ends[client_end] = None
        self._to_server.send(f"open {method.path}", lambda: self._accept(method.path, client_end, server_end))
        return client_end

    def to_server(self, label: str, action: Callable[[], None]) -> None:
        self._send(self._to_server, label, action)

    def to_client(self, label: str, action: Callable[[], None]) -> None:
        self._send(self._to_client, label, action)

    def message_to_server(self, path: str, number: int, data: bytes, arrive: Arrive) -> int:
        """A stream's message of that number, from 0. Answers how many copies of it are going to arrive."""
        self._tap(path, self.client_host, self.server_host, data)
        return self._send_message(self._to_server, path, number, data, arrive)

    def message_to_client(self, path: str, number: int, data: bytes, arrive: Arrive) -> int:
        """As `message_to_server`."""
        self._tap(path, self.server_host, self.client_host, data)
        return self._send_message(self._to_client, path, number, data, arrive)

    def forget_client_end(self, end: SimClientStream[Any, Any]) -> None:
        self._client_ends.pop(end, None)

    def forget_server_end(self, end: SimServerStream[Any, Any]) -> None:
        self._server_ends.pop(end, None)

    def resume(self) -> None:
        self._to_server.resume()
        self._to_client.resume()

    def give_up_connecting(self) -> None:
        if self._server is None and self.alive:
            self._to_server.clear()
            self._fail_client(f"failed to connect to {self._address}: timed out")

    def close_end_of(self, process: SimProcess) -> None:
        """The system closes the connection of a process that closes it, or has died."""
        if process is self._client and self.alive:
            self._fail_client("", status=Status.CANCELLED)
            self._to_server.send("closed", self._fail_server)
        elif process is self._server:
            self._server_ends.clear()
            self._to_client.send("closed", lambda: self._fail_client("Connection closed by the server"))

    def break_off(self, reason: str, *, at_once: bool = False) -> None:
        """Each side learns of it by itself: after a while, or at once."""
        self._broken = True
        self._fabric.note("break", f"{self.client_host}-{self.server_host} {reason}")
        self._to_server.clear()
        self._to_client.clear()
        delays = (0.0, 0.0) if at_once else (self._fabric.latency_s(), self._fabric.latency_s())
        self._fabric.later(delays[0], lambda: self._fail_client(reason))
        self._fabric.later(delays[1], self._fail_server)

    def _tap(self, path: str, source: str, target: str, data: bytes) -> None:
        tap = self._fabric.taps.get(path)
        if tap is not None:
            tap(source, target, data)

    def _send_message(self, wire: Wire, path: str, number: int, data: bytes, arrive: Arrive) -> int:
        label = f"message {len(data)}"
        slowness_s = self._fabric.slowness_s(path)
        fates = self._fabric.fates(path) if number else [0.0]  # a stream's first message says what it is
        for delay_s in fates:
            if delay_s:
                self._fabric.later(delay_s, lambda: self._send(wire, label, lambda: arrive(data)))
            else:
                self._send(wire, label, lambda: arrive(data), slowness_s)
        return len(fates)

    def _send(self, wire: Wire, label: str, action: Callable[[], None], slowness_s: float = 0.0) -> None:
        if self._broken:
            return  # nothing arrives behind what was lost
        if self._fabric.breaks():
            self.break_off("lost")
        else:
            wire.send(label, action, slowness_s)

    def _accept(
        self, path: str, client_end: SimClientStream[Any, Any], server_end: SimServerStream[Any, Any]
    ) -> None:
        listener = self._fabric.listener_at(self._address)
        if listener is None or (self._server is not None and listener.process is not self._server):
            self._to_client.send("refused", lambda: self._fail_client(f"{self._address}: Connection refused"))
            return
        self._server = listener.process
        self._server_ends[server_end] = None
        listener.accept(path, server_end)

    def _fail_client(self, reason: str, *, status: Status = Status.UNAVAILABLE) -> None:
        self.alive = False
        if not self._server_ends:
            self._fabric.forget(self)
        for end in tuple(self._client_ends):
            end.end(RpcError(status, reason or "the channel is closed"))

    def _fail_server(self) -> None:
        self._fabric.forget(self)
        for end in tuple(self._server_ends):
            end.abandon()
