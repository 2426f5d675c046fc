"""A client that writes every few milliseconds, and how long its writes stood still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise
from types import TracebackType
from typing import NamedTuple, Self

from streamkeep import Delivery, Producer

WRITE_EVERY_S = 0.005
AFTER_S = 1.0
"""Writes have gone on when what was sent so long after a blow is acknowledged."""


class Written(NamedTuple):
    """One record: when it was sent, and when acknowledged."""

    sent_s: float
    acknowledged_s: float


def longest_gap(written: Sequence[Written], since_s: float) -> float:
    """Longest time between two acknowledgements of which the second came after `since_s`. Pure."""
    times = sorted(each.acknowledged_s for each in written)
    return max(after - before for before, after in pairwise(times) if after > since_s)


class PacedWriter:
    """Writes one record every 5 ms to one partition, whatever becomes of them. Use it with `async with`."""

    def __init__(self, bootstrap: str, topic: str, *, value: bytes = b"x", partition: int = 0) -> None:
        self._topic = topic
        self._value = value
        self._partition = partition
        self._producer = Producer(bootstrap, linger_ms=0)
        self._waiting: set[asyncio.Task[None]] = set()
        self._writing: asyncio.Task[None] | None = None
        self.written: list[Written] = []

    async def __aenter__(self) -> Self:
        await self._producer.start()
        self._writing = asyncio.create_task(self._write())
        await self.acknowledged_after(time.perf_counter())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._writing is not None
        self._writing.cancel()
        await asyncio.gather(self._writing, return_exceptions=True)
        await self._producer.close(timeout_ms=0 if error else None)
        await asyncio.gather(*self._waiting, return_exceptions=bool(error))

    async def stall_s(self, struck_s: float, *, within_s: float) -> float:
        """How long writes stood still after a blow. TimeoutError if they do not go on."""
        async with asyncio.timeout(within_s):
            await self.acknowledged_after(struck_s + AFTER_S)
        return longest_gap(self.written, struck_s)

    async def acknowledged_after(self, sent_s: float) -> None:
        """Until a record is acknowledged that was sent then or later."""
        while not any(each.sent_s >= sent_s for each in self.written[-20:]):
            assert self._writing is not None and not self._writing.done(), self._writing
            await asyncio.sleep(WRITE_EVERY_S)

    async def _write(self) -> None:
        while True:
            sent_s = time.perf_counter()
            delivery = await self._producer.send(self._topic, self._value, partition=self._partition)
            task = asyncio.create_task(self._acknowledged(delivery, sent_s))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
            await asyncio.sleep(WRITE_EVERY_S)

    async def _acknowledged(self, delivery: Delivery, sent_s: float) -> None:
        await delivery
        self.written.append(Written(sent_s, time.perf_counter()))
