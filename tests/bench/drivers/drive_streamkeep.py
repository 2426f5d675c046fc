"""Drives Streamkeep through its SDK. Commands and results as in the Kafka driver."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from streamkeep import Admin, Consumer, Producer
from streamkeep.errors import BufferFullError

KEYS = [b"key-%05d" % number for number in range(1000)]
CHUNK_RECORDS = 20_000
TURN_RECORDS = 1000
CALLERS = 64
SYNC_RECORDS = 1_500
PACED_RECORDS = 5_000
PACE_S = 0.001


async def send_many(producer: Producer, topic: str, size: int, records: int) -> None:
    values = [b"x" * size] * CHUNK_RECORDS
    deliveries = [
        await producer.send_many(topic, values[: min(CHUNK_RECORDS, records - start)])
        for start in range(0, records, CHUNK_RECORDS)
    ]
    for delivery in deliveries:
        await delivery


async def send_each(producer: Producer, topic: str, size: int, records: int, *, keyed: bool) -> None:
    """Record by record; now and then the loop gets a turn, and `send` waits when there is no room."""
    value = b"x" * size
    send_nowait = producer.send_nowait
    await producer.partitions_for(topic)
    for number in range(records):
        key = KEYS[number % 1000] if keyed else None
        try:
            send_nowait(topic, value, key=key)
        except BufferFullError:
            await producer.send(topic, value, key=key)
        if number % TURN_RECORDS == 0:
            await asyncio.sleep(0)
    await producer.flush()


async def callers(producer: Producer, topic: str, size: int, records: int) -> None:
    """Each caller awaits the acknowledgement of one record before it sends the next."""
    value = b"x" * size

    async def caller() -> None:
        for _ in range(records // CALLERS):
            await (await producer.send(topic, value))

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def produce(bootstrap: str, topic: str, size: int, records: int, mode: str) -> float:
    async with Producer(bootstrap) as producer:
        began = time.perf_counter()
        if mode == "send_many":
            await send_many(producer, topic, size, records)
        elif mode == "callers":
            await callers(producer, topic, size, records)
        else:
            await send_each(producer, topic, size, records, keyed=mode == "keyed")
        return time.perf_counter() - began


async def consume(bootstrap: str, topic: str, partitions: int, records: int, mode: str) -> float:
    async with Consumer(bootstrap) as consumer:
        await consumer.assign({(topic, number): "earliest" for number in range(partitions)})
        got, began = 0, 0.0
        if mode == "batches":
            async for batch in consumer.batches():
                began = began or time.perf_counter()
                got += len(batch.values)
                if got >= records:
                    break
        else:
            async for record in consumer:
                began = began or time.perf_counter()
                assert record.value is not None
                got += 1
                if got >= records:
                    break
        return time.perf_counter() - began


def percentiles(latencies_ms: list[float]) -> dict[str, float]:
    """Of what is left without the first tenth, which warms up."""
    counted = sorted(latencies_ms[len(latencies_ms) // 10 :])
    return {"p50": counted[len(counted) // 2], "p99": counted[int(len(counted) * 0.99)]}


async def sync(bootstrap: str, topic: str, size: int) -> dict[str, float]:
    """One record, its acknowledgement, the next."""
    value, latencies = b"x" * size, []
    async with Producer(bootstrap, linger_ms=0) as producer:
        for _ in range(SYNC_RECORDS):
            began = time.perf_counter()
            await (await producer.send(topic, value, partition=0))
            latencies.append((time.perf_counter() - began) * 1e3)
    return percentiles(latencies)


async def paced(bootstrap: str, topic: str, size: int) -> dict[str, float]:
    """From the producer to a consumer in the same process, at 1,000 records a second."""
    async with Producer(bootstrap) as producer, Consumer(bootstrap) as consumer:
        await consumer.assign([(topic, 0)], start="latest")

        async def read() -> list[float]:
            latencies: list[float] = []
            async for record in consumer:
                assert record.value is not None
                latencies.append((time.perf_counter_ns() - int(record.value[:20])) / 1e6)
                if len(latencies) == PACED_RECORDS:
                    break
            return latencies

        reading = asyncio.create_task(read())
        for _ in range(PACED_RECORDS):
            await producer.send(topic, (b"%020d" % time.perf_counter_ns()).ljust(size), partition=0)
            await asyncio.sleep(PACE_S)
        return percentiles(await reading)


async def run(bootstrap: str, command: dict[str, Any]) -> dict[str, float]:
    operation, topic = command["operation"], command["topic"]
    size, records = command["size"], command["records"]
    if operation == "produce":
        return {"seconds": await produce(bootstrap, topic, size, records, command["mode"])}
    if operation == "consume":
        partitions = command["partitions"]
        return {"seconds": await consume(bootstrap, topic, partitions, records, command["mode"])}
    if operation == "sync":
        return await sync(bootstrap, topic, size)
    if operation == "paced":
        return await paced(bootstrap, topic, size)
    async with Admin(bootstrap) as admin:
        if operation == "create":
            await admin.create_topic(
                topic,
                partitions=command["partitions"],
                replication_factor=command["replicas"],
                settings=command["settings"],
            )
        else:
            await admin.delete_topic(topic)
    return {}


def main() -> None:
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            print(json.dumps(runner.run(run(sys.argv[1], json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
