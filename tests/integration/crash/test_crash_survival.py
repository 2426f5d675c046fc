"""kill -9 of a broker in the middle of producing, again and again on one data directory.

`KILLS` is how many times (default 6; `make crash` runs 20).
"""

from __future__ import annotations

import asyncio
import os
import random
from itertools import pairwise
from pathlib import Path

import pytest

from streamkeep import Admin, Consumer, Delivery, Producer
from streamkeep.errors import StreamkeepError
from tests.integration.cluster import Cluster

pytestmark = pytest.mark.process

KILLS = int(os.environ.get("KILLS", "6"))
PARTITIONS = 3
RECORDS_BETWEEN_KILLS = 500
DEADLINE_S = 60.0


class Workload:
    """Numbered records, partition by partition, and what became of each."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self.sent: list[tuple[int, Delivery]] = []
        self.stopping = False

    async def run(self) -> None:
        while not self.stopping:
            number = len(self.sent)
            value = b"record %012d " % number + bytes(number % 300)
            delivery = await self._producer.send("t", value, partition=number % PARTITIONS)
            self.sent.append((number, delivery))
            if number % 50 == 0:
                await asyncio.sleep(0)

    def acknowledged(self) -> int:
        return sum(delivery.done() for _, delivery in self.sent[-5_000:]) + max(0, len(self.sent) - 5_000)


async def until_acknowledged(workload: Workload, count: int) -> None:
    """Producing has got that far, in spite of the last kill."""
    async with asyncio.timeout(DEADLINE_S):
        while workload.acknowledged() < count:
            await asyncio.sleep(0.005)


async def read_all(bootstrap: str) -> list[list[tuple[int, int, bytes]]]:
    """(offset, number, value) of every record, by partition, in the order in which they were read."""
    seen: list[list[tuple[int, int, bytes]]] = [[] for _ in range(PARTITIONS)]
    topic_partitions = [("t", partition) for partition in range(PARTITIONS)]
    async with Consumer(bootstrap) as consumer:
        await consumer.assign(topic_partitions)
        ends = await consumer.end_offsets(topic_partitions)
        async with asyncio.timeout(DEADLINE_S):
            async for batch in consumer.batches():
                for offset, value in zip(batch.offsets, batch.values, strict=True):
                    assert value is not None
                    seen[batch.topic_partition.partition].append((offset, int(value[7:19]), value))
                if all(
                    consumer.position(topic_partition) >= ends[topic_partition]
                    for topic_partition in topic_partitions
                ):
                    return seen
    raise AssertionError("the consumer ended early")


async def test_every_acknowledged_record_survives_kill_after_kill(tmp_path: Path) -> None:
    rng = random.Random(7)
    async with Cluster(tmp_path, brokers=1) as cluster:
        async with Admin(cluster.bootstrap) as admin:
            await admin.create_topic("t", partitions=PARTITIONS)
        async with Producer(cluster.bootstrap, linger_ms=1, batch_bytes=8_192) as producer:
            workload = Workload(producer)
            producing = asyncio.create_task(workload.run())
            for _ in range(KILLS):
                goal = workload.acknowledged() + rng.randrange(RECORDS_BETWEEN_KILLS)
                await until_acknowledged(workload, goal)
                await cluster.brokers[1].kill()
                await cluster.brokers[1].restart()
            await until_acknowledged(workload, workload.acknowledged() + 1)
            workload.stopping = True
            await producing
            await producer.flush()
        seen = await read_all(cluster.bootstrap)
    check(workload, seen)


def check(workload: Workload, seen: list[list[tuple[int, int, bytes]]]) -> None:
    """Every acknowledged record once, at the offset that was told, unchanged; all in the order of sending."""
    assert len(workload.sent) > KILLS
    for partition, records in enumerate(seen):
        for (offset, number, _), (next_offset, next_number, _) in pairwise(records):
            assert next_offset == offset + 1, f"partition {partition}: a gap after offset {offset}"
            assert next_number > number, f"partition {partition}: record {next_number} comes after {number}"
    at = {
        (partition, offset): value for partition, records in enumerate(seen) for offset, _, value in records
    }
    numbers = {number for records in seen for _, number, _ in records}
    for number, delivery in workload.sent:
        try:
            metadata = delivery.result()
        except StreamkeepError as error:
            raise AssertionError(f"record {number} was given up: {error}") from error
        assert number in numbers, f"record {number} was acknowledged and is lost"
        if metadata.offset >= 0:
            expected = b"record %012d " % number + bytes(number % 300)
            assert at[metadata.partition, metadata.offset] == expected, (
                f"record {number} is not where it was said"
            )
