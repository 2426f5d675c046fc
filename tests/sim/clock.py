"""The clock of one simulated process: the loop's virtual time, and a wall clock of its own that may jump."""

from __future__ import annotations

import asyncio

EPOCH_MS = 1_700_000_000_000
"""The wall clock at virtual time 0."""


class SimClock:
    def __init__(self) -> None:
        self._offset_ms = EPOCH_MS

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now_ms(self) -> int:
        return self._offset_ms + int(self.monotonic() * 1000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def jump(self, milliseconds: int) -> None:
        """Set the wall clock forward, or back if negative. Monotonic time does not notice."""
        self._offset_ms += milliseconds
