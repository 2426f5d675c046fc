"""How fast a replica that is far behind catches up, and what producers notice of it.

    python -m tests.acceptance.replication.catch_up [MEGABYTES]

Three coordinators and three brokers as real processes, three replicas. While a follower is dead, so many MB
(1000) are written; then it comes back. A live producer writes a record every 5 ms to another partition of the
same leader. Exit code 1 if the copy is slower than its bound, or the producer's p99 more than doubles.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from streamkeep import Admin, Producer
from tests.acceptance.replication.pace import PacedWriter, Written
from tests.acceptance.replication.status import all_in_sync, topic_when
from tests.integration.cluster import Cluster

LEAST_MB_A_SECOND = 60.0
MOST_TIMES_SLOWER = 2.0
BEFORE_S = 15.0
WITHIN_S = 300.0
RECORD_BYTES, CHUNK_RECORDS = 1_000, 10_000
BULK, LIVE = "bulk", "live"


def percentile_ms(written: Sequence[Written], share: float, from_s: float, to_s: float) -> float:
    """Of the acknowledgements of what was sent in that time. Pure."""
    times = sorted(each.acknowledged_s - each.sent_s for each in written if from_s <= each.sent_s < to_s)
    return times[int(len(times) * share)] * 1e3


async def write_bulk(bootstrap: str, megabytes: int) -> None:
    values: list[bytes | None] = [bytes(RECORD_BYTES)] * CHUNK_RECORDS
    async with Producer(bootstrap) as producer:
        for _ in range(megabytes * 1_000_000 // (RECORD_BYTES * CHUNK_RECORDS)):
            await producer.send_many(BULK, values)
        await producer.flush()


async def run(folder: Path, megabytes: int) -> bool:
    async with Cluster(folder, coordinators=3, brokers=3) as cluster, Admin(cluster.bootstrap) as admin:
        for topic in (BULK, LIVE):
            await admin.create_topic(topic, partitions=3 if topic == LIVE else 1, replication_factor=3)
        leader = (await topic_when(admin, BULK, all_in_sync)).partitions[0].leader
        live = await topic_when(admin, LIVE, all_in_sync)
        partition = next(each.partition for each in live.partitions if each.leader == leader)
        follower = next(number for number in cluster.brokers if number != leader)
        await cluster.brokers[follower].kill()
        await topic_when(admin, BULK, lambda topic: follower not in topic.partitions[0].isr)
        await write_bulk(cluster.bootstrap, megabytes)
        async with PacedWriter(cluster.bootstrap, LIVE, partition=partition) as writer:
            await asyncio.sleep(BEFORE_S)
            await cluster.start(cluster.brokers[follower])
            began_s = time.perf_counter()
            await topic_when(admin, BULK, all_in_sync, within_s=WITHIN_S)
            ended_s = time.perf_counter()
    return report(megabytes / (ended_s - began_s), writer.written, began_s, ended_s)


def report(rate: float, written: Sequence[Written], began_s: float, ended_s: float) -> bool:
    """Print it; True if both bounds are kept."""
    before = [percentile_ms(written, share, 0.0, began_s - 2) for share in (0.5, 0.99)]
    during = [percentile_ms(written, share, began_s, ended_s) for share in (0.5, 0.99)]
    print(
        f"caught up at {rate:.0f} MB/s in {ended_s - began_s:.1f} s (at least {LEAST_MB_A_SECOND:.0f} MB/s)"
    )
    print(f"live producer before: p50 {before[0]:.2f} ms, p99 {before[1]:.2f} ms")
    print(f"live producer meanwhile: p50 {during[0]:.2f} ms, p99 {during[1]:.2f} ms (at most twice that)")
    return rate >= LEAST_MB_A_SECOND and during[1] <= MOST_TIMES_SLOWER * before[1]


def main() -> int:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    with tempfile.TemporaryDirectory(prefix="streamkeep-catch-up-") as folder:
        return 0 if asyncio.run(run(Path(folder), megabytes)) else 1


if __name__ == "__main__":
    sys.exit(main())
