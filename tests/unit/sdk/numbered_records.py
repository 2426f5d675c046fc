"""Records whose values are their numbers, written and read again."""

from __future__ import annotations

from streamkeep import Client, Consumer, Producer


async def produce(client: Client, topic: str, count: int, *, batch: int = 10, partition: int = 0) -> None:
    """Values 00000, 00001, ... with timestamps 1000, 1001, ..., `batch` of them in a batch."""
    async with Producer(client) as producer:
        for start in range(0, count, batch):
            numbers = range(start, min(count, start + batch))
            await (
                await producer.send_many(
                    topic,
                    [b"%05d" % number for number in numbers],
                    keys=[b"k%d" % number for number in numbers],
                    timestamps_ms=[1_000 + number for number in numbers],
                    partition=partition,
                )
            )


async def read(consumer: Consumer, count: int) -> list[bytes | None]:
    values = []
    async for record in consumer:
        values.append(record.value)
        if len(values) == count:
            break
    return values


def numbered(start: int, stop: int) -> list[bytes]:
    return [b"%05d" % number for number in range(start, stop)]
