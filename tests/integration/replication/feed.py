"""Numbers that flow into a topic while a test does its worst, and what comes out in the end."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from types import TracebackType
from typing import Self

from streamkeep import Consumer, Delivery, Producer

PAUSE_S = 0.002
DEADLINE_S = 90.0
TOPIC = "t"


BATCH_BYTES = 16 * 1024
"""Small: while nothing is acknowledged records gather, and a large batch fills some disks and not others."""


class Feed:
    """Sends 0, 1, 2, ... to the partitions in turn. Leaving the block waits until all are acknowledged.

    `size_bytes` is the least size of a record.
    """

    def __init__(self, bootstrap: str, *, partitions: int = 1, size_bytes: int = 0) -> None:
        self._partitions = partitions
        self._size_bytes = size_bytes
        self._producer = Producer(bootstrap, linger_ms=0, batch_bytes=BATCH_BYTES)
        self._deliveries: list[Delivery] = []
        self._flowing = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None

    @property
    def sent(self) -> int:
        return len(self._deliveries)

    async def __aenter__(self) -> Self:
        await self._producer.start()
        self._sending = asyncio.create_task(self._send())
        await self.goes_on()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._sending is not None
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)
        await self._producer.close(timeout_ms=0 if error else None)
        if error is None:
            for delivery in self._deliveries:
                await delivery

    async def goes_on(self) -> None:
        """Until a record of each partition is acknowledged that was not sent yet."""
        begun = self.sent
        async with asyncio.timeout(DEADLINE_S):
            while self.sent < begun + self._partitions:
                assert self._sending is not None and not self._sending.done(), self._sending
                await asyncio.sleep(PAUSE_S)
            for delivery in self._deliveries[begun : begun + self._partitions]:
                await delivery

    async def _send(self) -> None:
        while True:
            number = self.sent
            value = (b"%d" % number).ljust(self._size_bytes)
            delivery = await self._producer.send(TOPIC, value, partition=number % self._partitions)
            self._deliveries.append(delivery)
            await asyncio.sleep(PAUSE_S)


async def read_all(bootstrap: str, *, partitions: int = 1) -> list[int]:
    """Every number that is there; asserts that each partition has them in the order of sending."""
    topic_partitions = [(TOPIC, number) for number in range(partitions)]
    by_partition: list[list[int]] = [[] for _ in range(partitions)]
    async with asyncio.timeout(DEADLINE_S), Consumer(bootstrap) as consumer:
        ends = await consumer.end_offsets(topic_partitions)
        await consumer.assign(topic_partitions)
        async for batch in consumer.batches(until=ends):
            by_partition[batch.topic_partition.partition] += [int(value or b"-1") for value in batch.values]
    for numbers in by_partition:
        assert all(before < after for before, after in pairwise(numbers))
    return sorted(number for numbers in by_partition for number in numbers)
