"""Writers and readers: the shipping SDK, and whoever writes down what it says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence

from streamkeep import Client, Consumer, Delivery, Producer, TopicPartition
from streamkeep.errors import CorruptDataError, CorruptLogError, StorageFailedError, StreamkeepError
from tests.sim.replication.ledger import PartitionLedger, Sent
from tests.sim.simulation import Machine

LONGEST_PAUSE_S = 0.5
BURST = 12
BATCH_BYTES = 600
VALUE_BYTES = (20, 220)
RETRY_S = 0.5
"""After which a reader asks again for what was found corrupt."""
DELIVERY_TIMEOUT_MS = 600_000
"""Longer than any simulation: nothing is given up."""


class Writer:
    """Writes numbered records to all partitions, one after the other at random. Never waits for an answer."""

    def __init__(
        self,
        machine: Machine,
        name: str,
        coordinators: Sequence[str],
        ledgers: Mapping[TopicPartition, PartitionLedger],
        *,
        rng: random.Random,
        note: Callable[[str, str], None],
        guard: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self.name = name
        self.acknowledged = 0
        self.unanswered = 0
        self._machine = machine
        self._ledgers = ledgers
        self._rng = rng
        self._note = note
        self._guard = guard
        self._numbers = dict.fromkeys(ledgers, 0)
        self._stopped = False
        self._outstanding: dict[TopicPartition, asyncio.Queue[tuple[Sent, Delivery]]] = {
            each: asyncio.Queue() for each in ledgers
        }
        self._client = Client(
            list(coordinators), network=machine.network, clock=machine.clock, rng=machine.rng
        )

    async def run(self) -> None:
        """Go on until `stop`, and until everything is answered."""
        settling = [self._machine.spawn(self._settle(each)) for each in self._ledgers]
        for task in settling:
            self._guard(task)
        async with (
            self._client,
            Producer(
                self._client, batch_bytes=BATCH_BYTES, delivery_timeout_ms=DELIVERY_TIMEOUT_MS
            ) as producer,
        ):
            while not self._stopped:
                await self._write(producer)
                await self._machine.clock.sleep(self._rng.uniform(0, LONGEST_PAUSE_S))
            while self.unanswered:
                await self._machine.clock.sleep(LONGEST_PAUSE_S / 10)
        for task in settling:
            await cancelled(task)

    def stop(self) -> None:
        self._stopped = True

    async def _write(self, producer: Producer) -> None:
        """One record, or a burst of them."""
        topic_partition = self._rng.choice(list(self._ledgers))
        count = self._rng.randint(2, BURST) if self._rng.random() < 0.2 else 1
        for _ in range(count):
            sent = Sent(self.name, self._numbers[topic_partition])
            self._numbers[topic_partition] += 1
            value = sent.encode(self._rng.randint(*VALUE_BYTES))
            self.unanswered += 1
            delivery = await producer.send(topic_partition.topic, value, partition=topic_partition.partition)
            self._outstanding[topic_partition].put_nowait((sent, delivery))

    async def _settle(self, topic_partition: TopicPartition) -> None:
        """Write down what became of one record after the other."""
        while True:
            sent, delivery = await self._outstanding[topic_partition].get()
            try:
                offset = (await delivery).offset
            except StreamkeepError as error:
                self._note("delivery failed", f"{topic_partition} {sent}: {error!r}")
            else:
                self._ledgers[topic_partition].acknowledge(sent, offset)
                self.acknowledged += 1
            self.unanswered -= 1


class Reader:
    """Reads all partitions from their beginning on, for ever."""

    def __init__(
        self,
        machine: Machine,
        name: str,
        coordinators: Sequence[str],
        ledgers: Mapping[TopicPartition, PartitionLedger],
        *,
        note: Callable[[str, str], None],
        rack: str = "",
    ) -> None:
        self.name = name
        self._machine = machine
        self._note = note
        self._ledgers = ledgers
        self._client = Client(
            list(coordinators), network=machine.network, clock=machine.clock, rng=machine.rng
        )
        self._consumer = Consumer(self._client, reset="earliest", rack=rack)

    async def run(self) -> None:
        async with self._client, self._consumer as consumer:
            await consumer.assign(dict.fromkeys(self._ledgers, 0))
            while True:
                try:
                    await self._read(consumer)
                except (CorruptLogError, CorruptDataError, StorageFailedError) as error:
                    self._note("reader refused", f"{self.name}: {type(error).__name__}")
                    await self._machine.clock.sleep(RETRY_S)
                    for topic_partition in self._ledgers:
                        await consumer.seek(topic_partition, consumer.position(topic_partition))

    async def _read(self, consumer: Consumer) -> None:
        async for batch in consumer.batches():
            ledger = self._ledgers[batch.topic_partition]
            for offset, value in zip(batch.offsets, batch.values, strict=True):
                ledger.read(self.name, offset, Sent.decode(value))


async def cancelled(task: asyncio.Task[None]) -> None:
    """End a client that would go on for ever."""
    task.cancel()
    await asyncio.wait((task,))
