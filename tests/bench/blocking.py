"""`python -m tests.bench.blocking`: the blocking SDK beside the asyncio one, in one run, as ratios.

Rounds are interleaved, the first is dropped, and the best of the others counts, for both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

from streamkeep import Consumer, Producer, blocking
from streamkeep.errors import BufferFullError
from streamkeep.testing import Cluster

SIZE_BYTES = 100
TURN_RECORDS = 1_000
GOALS = {"send": 0.8, "iterate": 0.7}
"""Records a second, blocking over asyncio."""


async def asyncio_send(bootstrap: str, topic: str, records: int) -> float:
    value = b"x" * SIZE_BYTES
    async with Producer(bootstrap) as producer:
        await producer.partitions_for(topic)
        began = time.perf_counter()
        for number in range(records):
            try:
                producer.send_nowait(topic, value)
            except BufferFullError:
                await producer.send(topic, value)
            if number % TURN_RECORDS == 0:
                await asyncio.sleep(0)
        await producer.flush()
        return records / (time.perf_counter() - began)


async def asyncio_iterate(bootstrap: str, topic: str, records: int) -> float:
    got, began = 0, 0.0
    async with Consumer(bootstrap) as consumer:
        await consumer.assign([(topic, 0)])
        async for _ in consumer:
            began = began or time.perf_counter()
            got += 1
            if got == records:
                break
        return records / (time.perf_counter() - began)


def blocking_send(bootstrap: str, topic: str, records: int) -> float:
    value = b"x" * SIZE_BYTES
    with blocking.Producer(bootstrap) as producer:
        producer.partitions_for(topic)
        began = time.perf_counter()
        for _ in range(records):
            producer.send(topic, value)
        producer.flush()
        return records / (time.perf_counter() - began)


def blocking_iterate(bootstrap: str, topic: str, records: int) -> float:
    got, began = 0, 0.0
    with blocking.Consumer(bootstrap) as consumer:
        consumer.assign([(topic, 0)])
        for _ in consumer:
            began = began or time.perf_counter()
            got += 1
            if got == records:
                break
        return records / (time.perf_counter() - began)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.blocking", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds (default 3)")
    parser.add_argument("--records", type=int, default=1_000_000, help="a round (default 1 M of 100 B)")
    arguments = parser.parse_args()
    best: dict[tuple[str, str], float] = {}
    with Cluster(processes=True) as cluster:
        for number in range(arguments.rounds + 1):
            theirs, ours = cluster.topic("asyncio"), cluster.topic("blocking")
            found = {
                ("send", "asyncio"): asyncio.run(asyncio_send(cluster.bootstrap, theirs, arguments.records)),
                ("send", "blocking"): blocking_send(cluster.bootstrap, ours, arguments.records),
                ("iterate", "asyncio"): asyncio.run(
                    asyncio_iterate(cluster.bootstrap, theirs, arguments.records)
                ),
                ("iterate", "blocking"): blocking_iterate(cluster.bootstrap, ours, arguments.records),
            }
            if number:
                best.update({each: max(rate, best.get(each, 0.0)) for each, rate in found.items()})
    met = True
    for operation, goal in GOALS.items():
        ours_rate, their_rate = best[operation, "blocking"], best[operation, "asyncio"]
        ratio = ours_rate / their_rate
        met &= ratio >= goal
        verdict = "" if ratio >= goal else "  MISSED"
        print(
            f"{operation:8}{ours_rate:>12,.0f}/s{their_rate:>12,.0f}/s{ratio:>7.2f}x, target {goal}x{verdict}"
        )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
