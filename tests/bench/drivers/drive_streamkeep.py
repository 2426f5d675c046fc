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
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            seconds = runner.run(run(sys.argv[1], json.loads(line)))
            print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
