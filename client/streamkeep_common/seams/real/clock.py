"""The machine's clock. The only module that asks the system for the time."""

from __future__ import annotations

import asyncio
import time


class RealClock:
    """`monotonic` is the time source of asyncio's own loop, so deadlines and timers agree."""

    def monotonic(self) -> float:
        return time.monotonic()  # noqa: TID251 - this is the seam

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
