"""Producers and consumers who write down what they sent, what they were told, and what they were handed.

A record is its value's number and a filler that follows from it, so that a reader knows what has changed.
Producers crash now and then: they let go of everything, and another one begins. Some readers stay, some come
and go and begin somewhere in the middle.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence

from streamkeep import ConsumedBatch, Consumer, Delivery, Producer
from streamkeep.errors import NotEnoughReplicasError, StreamkeepError
from tests.acceptance.replication.judge import Reading, Writing

TOPIC = "history"
VALUES_OF_ONE_PRODUCER = 10**10
PAUSE_S = 0.12
LIFE_S = (2.0, 30.0)
VISIT_S = (1.0, 5.0)
VISITED_RECORDS = 5_000
"""A visitor begins at most so far behind the end."""
DELIVERY_TIMEOUTS_MS = (4_000, 15_000, 60_000)


def encoded(value: int) -> bytes:
    return b"%d:" % value + b"." * (value % 400)


def decoded(record: bytes | None) -> int:
    """AssertionError if it is not as it was sent."""
    assert record is not None, "a record without a value"
    value = int(record.partition(b":")[0])
    assert record == encoded(value), f"what was handed out was never sent: {record!r}"
    return value


class Run:
    """What all clients of one run share."""

    def __init__(self, bootstrap: str, partitions: int, now_s: Callable[[], float]) -> None:
        self.bootstrap = bootstrap
        self.partitions = partitions
        self.now_s = now_s
        self.writings: list[Writing] = []
        self.readings: list[Reading] = []
        self.refusals: Counter[str] = Counter()
        """By name, what producers and consumers were told instead."""
        self.ends = [0] * partitions
        """Behind the last offset that anybody was told, by partition."""
        self.producers = 0

    def saw(self, partition: int, offset: int) -> None:
        self.ends[partition] = max(self.ends[partition], offset + 1)


class Writer:
    """One producer after the other, until it is told to end."""

    def __init__(self, run: Run, rng: random.Random) -> None:
        self._run = run
        self._rng = rng
        self.stopping = False

    async def run(self) -> None:
        while not self.stopping:
            await self._one_life()

    async def _one_life(self) -> None:
        run, rng = self._run, self._rng
        run.producers += 1
        number, end_s = run.producers, run.now_s() + rng.uniform(*LIFE_S)
        writings = [Writing(f"producer-{number}", each) for each in range(run.partitions)]
        run.writings.extend(writings)
        producer = Producer(
            run.bootstrap,
            linger_ms=rng.choice((0, 5)),
            delivery_timeout_ms=rng.choice(DELIVERY_TIMEOUTS_MS),
            rng=random.Random(rng.random()),
        )
        await producer.start()
        tellers = [_Teller(run, writing) for writing in writings]
        value = number * VALUES_OF_ONE_PRODUCER
        crashes = True
        try:
            while not self.stopping and run.now_s() < end_s:
                for _ in range(rng.choice((1, 1, 1, 2, 5, 40))):
                    teller = rng.choice(tellers)
                    await teller.send(producer, value)
                    value += 1
                await asyncio.sleep(rng.random() * PAUSE_S)
            crashes = not self.stopping and rng.random() < 0.5
        finally:
            await producer.close(timeout_ms=0 if crashes else None)
            await asyncio.gather(*(teller.end() for teller in tellers))


class _Teller:
    """Sends to one partition, and writes down outcomes as they come."""

    def __init__(self, run: Run, writing: Writing) -> None:
        self._run = run
        self._writing = writing
        self._deliveries: asyncio.Queue[tuple[int, Delivery] | None] = asyncio.Queue()
        self._telling = asyncio.create_task(self._tell())

    async def send(self, producer: Producer, value: int) -> None:
        index = self._writing.send(value, self._run.now_s())
        delivery = await producer.send(TOPIC, encoded(value), partition=self._writing.partition)
        self._deliveries.put_nowait((index, delivery))

    async def end(self) -> None:
        self._deliveries.put_nowait(None)
        await self._telling

    async def _tell(self) -> None:
        while (item := await self._deliveries.get()) is not None:
            index, delivery = item
            try:
                offset = (await delivery).offset
            except StreamkeepError as error:
                self._run.refusals[f"write: {type(error).__name__}"] += 1
                if isinstance(error, NotEnoughReplicasError):
                    self._writing.refuse(index, self._run.now_s())
                continue
            self._writing.acknowledge(index, offset, self._run.now_s())
            self._run.saw(self._writing.partition, offset)


class Reader:
    """Reads all partitions; who stays reads from the beginning on, a visitor here and there."""

    def __init__(self, run: Run, who: str, rng: random.Random, *, visits: bool = False) -> None:
        self._run = run
        self._who = who
        self._rng = rng
        self._visits = visits
        self._sessions = 0

    async def run(self) -> None:
        """Until it is cancelled."""
        positions = [0] * self._run.partitions
        while True:
            if self._visits:
                positions = [self._rng.randint(max(0, end - VISITED_RECORDS), end) for end in self._run.ends]
            seconds = self._rng.uniform(*VISIT_S) if self._visits else None
            try:
                async with asyncio.timeout(seconds):
                    await self._read(positions)
            except StreamkeepError as error:
                self._run.refusals[f"read: {type(error).__name__}"] += 1
                await asyncio.sleep(PAUSE_S)
            except TimeoutError:
                assert self._visits, "only visits have an end"

    async def _read(self, positions: list[int]) -> None:
        """On from these positions, which move along."""
        self._sessions += 1
        readings = open_readings(self._run, f"{self._who}.{self._sessions}")
        async with Consumer(self._run.bootstrap) as consumer:
            await consumer.assign({(TOPIC, number): offset for number, offset in enumerate(positions)})
            async for batch in consumer.batches():
                take(self._run, readings, batch)
                positions[batch.topic_partition.partition] = batch.next_offset


def open_readings(run: Run, who: str, *, drains: bool = False) -> Sequence[Reading]:
    readings = [Reading(who, number, drains=drains) for number in range(run.partitions)]
    run.readings.extend(readings)
    return readings


def take(run: Run, readings: Sequence[Reading], batch: ConsumedBatch) -> None:
    """Write down what was handed out."""
    partition = batch.topic_partition.partition
    readings[partition].read(batch.offsets, [decoded(value) for value in batch.values])
    run.saw(partition, batch.offsets[-1])


async def drain(run: Run) -> None:
    """Read everything that can be read now, from the beginning."""
    readings = open_readings(run, "the last reader", drains=True)
    topic_partitions = [(TOPIC, number) for number in range(run.partitions)]
    async with Consumer(run.bootstrap) as consumer:
        ends = await consumer.end_offsets(topic_partitions)
        await consumer.assign(topic_partitions)
        async for batch in consumer.batches(until=ends):
            take(run, readings, batch)
