"""The clock of one simulated process: virtual time, at a rate of its own, and a wall clock that may jump."""

from __future__ import annotations

import asyncio

EPOCH_MS = 1_700_000_000_000
"""The wall clock at virtual time 0."""


class SimClock:
    def __init__(self) -> None:
        self._offset_ms = EPOCH_MS
        self._rate = 1.0
        self._rate_since_s = 0.0
        self._shown_then_s = 0.0

    def monotonic(self) -> float:
        elapsed_s = asyncio.get_running_loop().time() - self._rate_since_s
        return self._shown_then_s + elapsed_s * self._rate

    def now_ms(self) -> int:
        return self._offset_ms + int(self.monotonic() * 1000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._rate)

    def jump(self, milliseconds: int) -> None:
        """Set the wall clock forward, or back if negative. Monotonic time does not notice."""
        self._offset_ms += milliseconds

    def run_at(self, rate: float) -> None:
        """From now on it runs so many times as fast as the loop's. Whoever sleeps already is not affected."""
        self._shown_then_s = self.monotonic()
        self._rate_since_s = asyncio.get_running_loop().time()
        self._rate = rate
