"""How much may be in flight. Pure arithmetic: nobody waits here.

A produce stream charges what it has received and not yet answered, to itself and to the broker. It stops
reading while either is spent, so the transport's flow control reaches the client and memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Callable


class Budget:
    """Bytes in flight of the whole broker, over all its streams."""

    def __init__(self, *, limit_bytes: int, stream_limit_bytes: int) -> None:
        assert min(limit_bytes, stream_limit_bytes) > 0
        self.limit_bytes = limit_bytes
        self.stream_limit_bytes = min(stream_limit_bytes, limit_bytes)
        self.used_bytes = 0
        self._blocked: dict[StreamBudget, None] = {}

    def open_stream(self, on_room: Callable[[], None]) -> StreamBudget:
        """A stream's part of the budget; `on_room` is called when `has_room` may be true again."""
        return StreamBudget(self, on_room)

    def block(self, stream: StreamBudget) -> None:
        """Remember a stream that waits for the broker's room."""
        self._blocked[stream] = None

    def unblock(self, stream: StreamBudget) -> None:
        """Forget a stream that no longer waits."""
        self._blocked.pop(stream, None)

    def add(self, amount: int) -> None:
        """Charge, or give back when negative: streams that wait are told, in the order they came."""
        self.used_bytes += amount
        assert self.used_bytes >= 0
        if amount < 0 and self._blocked and self.used_bytes < self.limit_bytes:
            self._wake()

    def _wake(self) -> None:
        # One at a time while it is tight, else all would read a request at once; all when it is slack, so
        # that a woken stream with nothing to read leaves nobody waiting for ever.
        count = len(self._blocked) if self.used_bytes <= self.limit_bytes // 2 else 1
        for stream in list(self._blocked)[:count]:
            del self._blocked[stream]
            stream.on_room()


class StreamBudget:
    """Bytes in flight of one stream. A request is charged whole: the last one may overdraw."""

    __slots__ = ("_broker", "on_room", "used_bytes")

    def __init__(self, broker: Budget, on_room: Callable[[], None]) -> None:
        self._broker = broker
        self.on_room = on_room
        self.used_bytes = 0

    def has_room(self) -> bool:
        """Whether another request may be read; if not, `on_room` is called when it is worth asking again."""
        if self.used_bytes >= self._broker.stream_limit_bytes:
            return False
        if self._broker.used_bytes >= self._broker.limit_bytes:
            self._broker.block(self)
            return False
        return True

    def charge(self, amount: int) -> None:
        """`amount` more bytes wait for their answers."""
        self.used_bytes += amount
        self._broker.add(amount)

    def release(self, amount: int) -> None:
        """`amount` bytes were answered."""
        was_full = self.used_bytes >= self._broker.stream_limit_bytes
        self.used_bytes -= amount
        assert self.used_bytes >= 0
        self._broker.add(-amount)
        if was_full and self.used_bytes < self._broker.stream_limit_bytes:
            self.on_room()

    def close(self) -> None:
        """The stream is over: it waits no more, and everything that it charged is given back."""
        self._broker.unblock(self)
        self._broker.add(-self.used_bytes)
        self.used_bytes = 0
