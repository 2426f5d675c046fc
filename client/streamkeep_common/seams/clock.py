"""The clock seam. Deadlines use `monotonic`; record timestamps and names for people use `now_ms`."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time, as one process sees it."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back. The running event loop's own time."""
        ...

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC. May jump in either direction."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after at least `seconds` of monotonic time."""
        ...
