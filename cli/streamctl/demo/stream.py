"""The departures on their way in, and the blow in the middle of it.

Must not know how a broker is killed, nor what becomes of the records afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from streamctl.demo.flights import Departures
from streamctl.progress import progress_bar
from streamkeep import Admin, Client, Deliveries, Producer
from streamkeep_common.seams import Clock

CHUNK_RECORDS = 250
CHUNK_EVERY_S = 0.02
"""A month in a little more than two seconds: long enough to have a middle."""


@dataclass(slots=True)
class Blow:
    """A broker killed while records were written, and when they were acknowledged. Times are in seconds."""

    broker: int
    led_partitions: int
    struck_s: float
    sent_before: int = 0
    acknowledged_s: list[float] = field(default_factory=list)

    @property
    def stall_s(self) -> float:
        """The longest time between two acknowledgements from the blow on."""
        times = [self.struck_s, *(each for each in self.acknowledged_s if each > self.struck_s)]
        return max(after - before for before, after in pairwise(times))


async def stream(
    client: Client, topic: str, departures: Departures, *, kill: Callable[[int], None], clock: Clock
) -> Blow:
    """Send all departures, at a pace; half-way through kill a leader. Returns when all are acknowledged."""
    total = len(departures.values)
    acknowledged_s: list[float] = []
    blow: Blow | None = None
    with progress_bar("departures sent", total) as advance:

        async def acknowledged(deliveries: Deliveries) -> None:
            await deliveries
            acknowledged_s.append(clock.monotonic())
            advance(len(deliveries))

        async with Producer(client) as producer, asyncio.TaskGroup() as group:
            for start in range(0, total, CHUNK_RECORDS):
                if blow is None and start >= total // 2:
                    blow = await _strike(Admin(client), topic, kill, clock)
                    blow.sent_before, blow.acknowledged_s = start, acknowledged_s
                chunk = slice(start, start + CHUNK_RECORDS)
                deliveries = await producer.send_many(
                    topic, departures.values[chunk], keys=departures.keys[chunk]
                )
                group.create_task(acknowledged(deliveries))
                await clock.sleep(CHUNK_EVERY_S)
    assert blow is not None, "there is a middle"
    return blow


async def _strike(admin: Admin, topic: str, kill: Callable[[int], None], clock: Clock) -> Blow:
    """Kill who leads the first partition."""
    leaders = [partition.leader for partition in (await admin.describe_topic(topic)).partitions]
    blow = Blow(leaders[0], leaders.count(leaders[0]), clock.monotonic())
    kill(blow.broker)
    return blow
