"""The demo, step by step: start, stream, read back with two consumers, compare. Leaves nothing behind."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from streamctl.demo.flights import Departures, Tally, load_departures
from streamctl.dev.plan import plan_cluster
from streamctl.dev.store import ClusterStore
from streamctl.dev.supervisor import Supervisor
from streamctl.output import note
from streamctl.progress import Advance, progress_bar
from streamkeep import Admin, Client, ConsumedBatch, Consumer, Deliveries, Producer, TopicPartition
from streamkeep_common.seams.real.clock import RealClock

TOPIC = "flights"
PARTITIONS = 6
COORDINATORS = 3
BROKERS = 3
CONSUMERS = 2
CHUNK_RECORDS = 1_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What went in, what came out, and how many seconds each took."""

    sent: Tally
    read: Tally
    produce_s: float
    consume_s: float

    @property
    def is_complete(self) -> bool:
        """Every departure came back once, with the values it was sent with."""
        return self.sent == self.read


async def run_demo() -> Outcome:
    """Run it. Raises what went wrong, after everything was stopped and removed."""
    departures = load_departures()
    sent = Tally()
    sent.add(departures.values)
    clock = RealClock()
    async with _temporary_cluster(clock) as bootstrap, Client(bootstrap) as client:
        await Admin(client).create_topic(TOPIC, partitions=PARTITIONS)
        began_s = clock.monotonic()
        await _produce(client, departures)
        produced_s = clock.monotonic()
        batches = await _consume(client, len(departures.values))
        consumed_s = clock.monotonic()
    read = Tally()
    for batch in batches:
        read.add(batch.values)
    return Outcome(sent, read, produced_s - began_s, consumed_s - produced_s)


@asynccontextmanager
async def _temporary_cluster(clock: RealClock) -> AsyncIterator[list[str]]:
    """A cluster on free ports with its data in a temporary directory; neither outlives the context."""
    with tempfile.TemporaryDirectory(prefix="streamkeep-demo-") as directory:
        path = Path(directory)
        plan = plan_cluster(path, coordinators=COORDINATORS, brokers=BROKERS, port_base=0)
        supervisor = Supervisor(plan, ClusterStore(path, listed=False), random.SystemRandom())
        began_s = clock.monotonic()
        await supervisor.start()
        try:
            took_s = clock.monotonic() - began_s
            note(f"{COORDINATORS} coordinators and {BROKERS} brokers are ready after {took_s:.1f} s.")
            yield supervisor.coordinators
        finally:
            await supervisor.stop()


async def _produce(client: Client, departures: Departures) -> None:
    """Everything, acknowledged: each record is on disk when this returns."""
    total = len(departures.values)
    with progress_bar("departures sent", total) as advance:
        async with Producer(client) as producer, asyncio.TaskGroup() as group:
            for start in range(0, total, CHUNK_RECORDS):
                chunk = slice(start, start + CHUNK_RECORDS)
                values = departures.values[chunk]
                deliveries = await producer.send_many(TOPIC, values, keys=departures.keys[chunk])
                group.create_task(_acknowledged(deliveries, len(values), advance))


async def _acknowledged(deliveries: Deliveries, count: int, advance: Advance) -> None:
    await deliveries
    advance(count)


async def _consume(client: Client, total: int) -> list[ConsumedBatch]:
    """Two consumers side by side, each with every other partition, up to what is the end now."""
    topic_partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
    batches: list[ConsumedBatch] = []
    with progress_bar("departures read", total) as advance:
        async with asyncio.TaskGroup() as group:
            for number in range(CONSUMERS):
                group.create_task(_read(client, topic_partitions[number::CONSUMERS], batches, advance))
    return batches


async def _read(
    client: Client, topic_partitions: Sequence[TopicPartition], batches: list[ConsumedBatch], advance: Advance
) -> None:
    async with Consumer(client) as consumer:
        ends = await consumer.end_offsets(topic_partitions)
        await consumer.assign(topic_partitions, start="earliest")
        async for batch in consumer.batches(until=ends):
            batches.append(batch)
            advance(len(batch))
