"""The benchmarks themselves: as many records in as go, all records out, and one record's way through."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from streamctl.bench.course import Course
from streamctl.bench.figures import Setup
from streamctl.bench.live import live_line
from streamctl.failures import CommandError, ExitCode
from streamkeep import Consumer, Deliveries, Producer, TopicPartition
from streamkeep_common.seams.real.clock import RealClock

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamkeep.producer.options import Compression

CHUNK_RECORDS = 1_000
"""Records that are handed over, and timed, together."""
MARK_BYTES = 16
"""Of a record that is timed: whose it is, and which."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to do and for how long: `records`, or `seconds` if that is None. `rate` is records a second, None
    = as fast as it goes."""

    size_bytes: int
    seconds: float
    records: int | None = None
    rate: float | None = None
    compression: Compression = "none"


async def find_setup(cluster: Cluster, topic: str) -> Setup:
    """CommandError if there is no such topic."""
    found = await cluster.topic(topic)
    settings = {setting.name: setting.value for setting in found.settings}
    replicas = min(len(partition.replicas) for partition in found.partitions)
    required = min(int(settings["min_insync_replicas"]), replicas)
    return Setup(topic, len(found.partitions), replicas, required, settings["durability"])


async def produce(cluster: Cluster, course: Course, topic: str, load: Load, *, timeout_ms: int) -> None:
    """Records without keys, of random bytes; each chunk is timed until the last of it is acknowledged."""
    clock, progress = course.clock, course.progress
    progress.total = load.records or 0
    values = [os.urandom(load.size_bytes) for _ in range(min(load.records or CHUNK_RECORDS, CHUNK_RECORDS))]

    async def settled(deliveries: Deliveries, sent_s: float) -> None:
        await deliveries
        course.times_ms["acknowledged"].append((clock.monotonic() - sent_s) * 1_000)
        progress.records += len(deliveries)
        progress.size_bytes += len(deliveries) * load.size_bytes

    producer = Producer(cluster.client, compression=load.compression, delivery_timeout_ms=timeout_ms)
    async with producer, live_line(progress):
        sent = 0
        with course.timed("acknowledged"):
            async with asyncio.TaskGroup() as group:
                while _goes_on(load, sent, course.seconds):
                    some = values if load.records is None else values[: load.records - sent]
                    await _keep_pace(course, load, sent)
                    sent_s = clock.monotonic()
                    group.create_task(settled(await producer.send_many(topic, some), sent_s))
                    sent += len(some)


def _goes_on(load: Load, sent: int, seconds: float) -> bool:
    return seconds < load.seconds if load.records is None else sent < load.records


async def _keep_pace(course: Course, load: Load, sent: int) -> None:
    """Wait until the next records are due; let others run in any case."""
    ahead_s = sent / load.rate - course.seconds if load.rate else 0.0
    await asyncio.sleep(max(ahead_s, 0.0))


async def consume(cluster: Cluster, course: Course, topic: str, records: int | None) -> None:
    """What the topic holds, or the first so many; timed is how long each batch was waited for."""
    clock, progress = course.clock, course.progress
    async with Consumer(cluster.client) as consumer:
        starts, ends = await _spans(consumer, topic)
        progress.total = records or sum(end - starts[each] for each, end in ends.items())
        await consumer.assign(starts)
        waited_from_s = clock.monotonic()
        with course.timed("batch"):
            async with live_line(progress), aclosing(consumer.batches(until=ends)) as batches:
                async for batch in batches:
                    now_s = clock.monotonic()
                    course.times_ms["batch"].append((now_s - waited_from_s) * 1_000)
                    waited_from_s = now_s
                    progress.records += len(batch.offsets)
                    progress.size_bytes += batch.size_bytes
                    if progress.records >= progress.total:
                        break


async def _spans(
    consumer: Consumer, topic: str
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """Where each partition that holds records begins and ends. CommandError if none does."""
    partitions = await consumer.partitions_for(topic)
    starts = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    full = [each for each in partitions if ends[each] > starts[each]]
    if not full:
        raise CommandError(
            f"topic '{topic}' holds no records; `streamctl bench produce {topic}` writes some",
            ExitCode.NOT_FOUND,
        )
    return {each: starts[each] for each in full}, {each: ends[each] for each in full}


async def latency(cluster: Cluster, course: Course, topic: str, load: Load, *, timeout_ms: int) -> None:
    """One record after the other at the rate, timed until it is acknowledged and until it is read."""
    clock, progress = course.clock, course.progress
    progress.total = load.records or 0
    run, sent_s = os.urandom(MARK_BYTES // 2), dict[bytes, float]()
    producer = Producer(
        cluster.client, compression=load.compression, linger_ms=0, delivery_timeout_ms=timeout_ms
    )
    async with producer, Consumer(cluster.client) as consumer, live_line(progress):
        ends = await consumer.end_offsets(await consumer.partitions_for(topic))
        await consumer.assign(ends)
        with course.timed("acknowledged", "read"):
            reading = asyncio.create_task(_read(consumer, sent_s, course.times_ms["read"]))
            try:
                for number in count():
                    if not _goes_on(load, number, course.seconds):
                        break
                    await _keep_pace(course, load, number)
                    mark = run + number.to_bytes(MARK_BYTES // 2, "big")
                    sent_s[mark] = now_s = clock.monotonic()
                    await (await producer.send(topic, mark.ljust(load.size_bytes, b".")))
                    course.times_ms["acknowledged"].append((clock.monotonic() - now_s) * 1_000)
                    progress.records, progress.size_bytes = number + 1, (number + 1) * load.size_bytes
                async with asyncio.timeout(timeout_ms / 1_000):
                    while sent_s:
                        if reading.done():
                            reading.result()
                        await asyncio.sleep(0.001)
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)


async def _read(consumer: Consumer, sent_s: dict[bytes, float], read_ms: list[float]) -> None:
    """Strike off what was sent, as it comes; records of others are passed over."""
    clock = RealClock()
    async for batch in consumer.batches():
        now_s = clock.monotonic()
        for value in batch.values:
            sent = sent_s.pop((value or b"")[:MARK_BYTES], None)
            if sent is not None:
                read_ms.append((now_s - sent) * 1_000)
