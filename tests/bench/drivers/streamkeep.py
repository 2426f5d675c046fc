"""Drives Streamkeep through its SDK. Commands and results as in the Kafka driver."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from streamkeep import Admin, Consumer, Producer

KEYS = [b"key-%05d" % number for number in range(1000)]
CHUNK_RECORDS = 20_000
CALLERS = 64


async def send_many(producer: Producer, topic: str, size: int, records: int) -> None:
    values = [b"x" * size] * CHUNK_RECORDS
    deliveries = [
        await producer.send_many(topic, values[: min(CHUNK_RECORDS, records - start)])
        for start in range(0, records, CHUNK_RECORDS)
    ]
    for delivery in deliveries:
        await delivery


async def send_each(producer: Producer, topic: str, size: int, records: int, *, keyed: bool) -> None:
    """`send_nowait` record by record; when the buffer is full, `send` waits for room."""
    value = b"x" * size
    send_nowait, buffered = producer.send_nowait, producer.buffer_has_room
    for number in range(records):
        key = KEYS[number % 1000] if keyed else None
        if buffered():
            send_nowait(topic, value, key=key)
        else:
            await producer.send(topic, value, key=key)
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


async def run(bootstrap: str, command: dict[str, Any]) -> float:
    operation, topic = command["operation"], command["topic"]
    if operation == "produce":
        return await produce(bootstrap, topic, command["size"], command["records"], command["mode"])
    if operation == "consume":
        return await consume(bootstrap, topic, command["partitions"], command["records"], command["mode"])
    async with Admin(bootstrap) as admin:
        if operation == "create":
            await admin.create_topic(topic, partitions=command["partitions"])
        else:
            await admin.delete_topic(topic)
    return 0.0


def main() -> None:
    for line in sys.stdin:
        seconds = asyncio.run(run(sys.argv[1], json.loads(line)))
        print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
