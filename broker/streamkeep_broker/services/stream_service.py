"""What services of long streams have in common: which are open, and how they end when the broker stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from streamkeep_proto.v1.broker_pb2 import Closing


class OpenStream(Protocol):
    """One client's stream."""

    async def run(self) -> None:
        """Returns when the stream is over."""
        ...

    def wake(self) -> None:
        """Look again at whether the broker is closing."""
        ...


class StreamService:
    """Serves the streams of one method. `on_count` hears how many are open whenever that changes."""

    def __init__(self, on_count: Callable[[int], None]) -> None:
        self.closing: Closing | None = None
        """What streams are to say before they end, once the broker stops."""
        self._on_count = on_count
        self._streams: dict[OpenStream, None] = {}

    async def serve(self, stream: OpenStream) -> None:
        """Until the client half-closes, goes away, or the broker stops."""
        self._streams[stream] = None
        self._on_count(len(self._streams))
        try:
            await stream.run()
        finally:
            del self._streams[stream]
            self._on_count(len(self._streams))

    def close(self, closing: Closing) -> None:
        """Take no more requests; answer what waits, say `closing`, end the streams."""
        self.closing = closing
        for stream in self._streams:
            stream.wake()
