"""The demo, step by step: start, stream, kill a leader, read back with two consumers, compare."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from streamctl.demo.flights import Departures, Tally, load_departures
from streamctl.demo.stream import Blow, stream
from streamctl.dev.plan import BROKER, plan_cluster
from streamctl.dev.store import ClusterStore
from streamctl.dev.supervisor import Supervisor
from streamctl.output import note
from streamctl.progress import progress_bar
from streamkeep import Admin, Client, ConsumedBatch, Consumer, TopicPartition
from streamkeep_common.seams import Clock
from streamkeep_common.seams.real.clock import RealClock

TOPIC = "flights"
PARTITIONS = 6
COORDINATORS = 3
BROKERS = 3
CONSUMERS = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What went in, what came out, and what happened between."""

    sent: Sequence[bytes]
    read: Sequence[bytes | None]
    blow: Blow
    consume_s: float

    @property
    def missing(self) -> int:
        """Departures that did not come back, or not as often as they were sent."""
        return (_counted(self.sent) - _counted(self.read)).total()

    @property
    def surplus(self) -> int:
        """Departures that came back more often than they were sent."""
        return (_counted(self.read) - _counted(self.sent)).total()

    @property
    def is_complete(self) -> bool:
        """Every departure came back exactly once, as it was sent."""
        return not self.missing and not self.surplus

    @property
    def tally(self) -> Tally:
        """What came back, by carrier."""
        tally = Tally()
        tally.add(self.read)
        return tally


def _counted(values: Sequence[bytes | None]) -> Counter[bytes | None]:
    return Counter(values)


async def run_demo() -> Outcome:
    """Run it. Raises what went wrong, after everything was stopped and removed."""
    departures = load_departures()
    clock = RealClock()
    async with _temporary_cluster(clock) as supervisor, Client(supervisor.coordinators) as client:
        admin = Admin(client)
        await admin.create_topic(TOPIC, partitions=PARTITIONS, replication_factor=BROKERS)
        blow = await stream(
            client, TOPIC, departures, kill=lambda broker: supervisor.kill(BROKER, broker), clock=clock
        )
        note(
            f"Half-way, kill -9 of broker {blow.broker}, which led {blow.led_partitions} of {PARTITIONS}"
            f" partitions. They were written to again after {blow.stall_s:.2f} s."
        )
        began_s = clock.monotonic()
        batches = await _consume(client, departures)
        consume_s = clock.monotonic() - began_s
    return Outcome(departures.values, [value for batch in batches for value in batch.values], blow, consume_s)


@asynccontextmanager
async def _temporary_cluster(clock: Clock) -> AsyncIterator[Supervisor]:
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
            yield supervisor
        finally:
            await supervisor.stop()


async def _consume(client: Client, departures: Departures) -> list[ConsumedBatch]:
    """Two consumers side by side, each with every other partition, up to what is the end now."""
    topic_partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
    batches: list[ConsumedBatch] = []
    with progress_bar("departures read", len(departures.values)) as advance:

        async def read(mine: Sequence[TopicPartition]) -> None:
            async with Consumer(client) as consumer:
                ends = await consumer.end_offsets(mine)
                await consumer.assign(mine, start="earliest")
                async for batch in consumer.batches(until=ends):
                    batches.append(batch)
                    advance(len(batch))

        async with asyncio.TaskGroup() as group:
            for number in range(CONSUMERS):
                group.create_task(read(topic_partitions[number::CONSUMERS]))
    return batches
