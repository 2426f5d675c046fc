"""How long metadata writes stop when the active coordinator dies or hangs, and what produce and fetch notice.

    python -m tests.acceptance.quorum.failover [ROUNDS]

Three coordinators and three brokers as real processes; ROUNDS (20) times kill -9, half as often SIGSTOP. Each
round measures from the signal until a topic is created by a client that knows all three addresses, while one
producer writes a record every 5 ms and one consumer reads them. A woken coordinator is asked at once, past
the SDK, for the topics: it must name the new one or refuse. Exit code 1 if a bound is passed.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from streamkeep import Admin, Consumer, Producer
from streamkeep_common.methods import LIST_TOPICS
from streamkeep_common.seams import RpcError
from streamkeep_common.seams.real.network import GrpcNetwork
from streamkeep_proto.v1.coordinator_pb2 import ListTopicsRequest
from tests.acceptance.quorum.status import active_id, all_well, quorum_when
from tests.integration.cluster import Cluster
from tests.integration.server_process import READY_TIMEOUT_S

READY_S = 2.5
KILL_MEDIAN_S = 1.5
STOP_WORST_S = 3.0
STREAM_GAP_S = 0.5
WRITE_EVERY_S = 0.005


class Stream:
    """One producer and one consumer of topic `t`, and the longest that each had to wait for the other."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self.sent = 0
        self.received = 0
        self.longest_ack_s = 0.0
        self.longest_read_s = 0.0
        self.flows = asyncio.Event()
        """The first record has arrived: what a client does when it begins needs a coordinator."""

    async def write(self) -> None:
        async with Producer(self._bootstrap, linger_ms=0) as producer:
            while True:
                began = time.perf_counter()
                await (await producer.send("t", b"%d" % self.sent))
                self.longest_ack_s = max(self.longest_ack_s, time.perf_counter() - began)
                self.sent += 1
                await asyncio.sleep(WRITE_EVERY_S)

    async def read(self) -> None:
        async with Consumer(self._bootstrap, reset="earliest") as consumer:
            await consumer.assign([("t", 0)])
            last = None
            async for record in consumer:
                now = time.perf_counter()
                assert record.value == b"%d" % self.received, f"{record.value!r} after {self.received}"
                self.received += 1
                self.flows.set()
                self.longest_read_s = max(self.longest_read_s, now - (last or now))
                last = now


async def seconds_until_created(
    admin: Admin, name: str, signal: Callable[[], Awaitable[None] | None]
) -> float:
    began = time.perf_counter()
    done = signal()
    if done is not None:
        await done
    await admin.create_topic(name, partitions=1, wait=False)
    return time.perf_counter() - began


async def topics_of(network: GrpcNetwork, address: str) -> list[str] | None:
    """What one coordinator says by itself; None if it refuses."""
    channel = network.dial(address)
    try:
        answer = await channel.call(LIST_TOPICS, ListTopicsRequest(), timeout_s=5)
    except RpcError:
        return None
    finally:
        await channel.close()
    return None if answer.error.code else [topic.name for topic in answer.topics]


async def kill_rounds(cluster: Cluster, admin: Admin, rounds: int) -> list[float]:
    times = []
    for number in range(rounds):
        victim = cluster.coordinators[await active_id(admin)]
        times.append(await seconds_until_created(admin, f"killed-{number}", victim.kill))
        await cluster.start(victim)
        await quorum_when(admin, all_well(3))
    return times


async def stop_rounds(cluster: Cluster, admin: Admin, rounds: int) -> tuple[list[float], int]:
    """Seconds of each, and how many stale answers a woken coordinator gave."""
    times, stale = [], 0
    for number in range(rounds):
        name = f"stopped-{number}"
        victim = await active_id(admin)
        server = cluster.coordinators[victim]
        times.append(await seconds_until_created(admin, name, server.pause))
        server.resume()
        seen = await topics_of(GrpcNetwork(), cluster.coordinator_address(victim))
        stale += seen is not None and name not in seen
        await quorum_when(admin, all_well(3))
    return times, stale


def line(what: str, figure: float, bound: float) -> bool:
    print(f"{what:<58} {figure:6.2f} s   (bound {bound:.1f} s)", flush=True)
    return figure <= bound


async def run(folder: Path, rounds: int) -> bool:
    began = time.perf_counter()
    async with Cluster(folder, coordinators=3, brokers=3) as cluster, Admin(cluster.bootstrap) as admin:
        well = line("three coordinators and three brokers ready", time.perf_counter() - began, READY_S)
        await quorum_when(admin, all_well(3))
        await admin.create_topic("t", partitions=1)
        stream = Stream(cluster.bootstrap)
        tasks = [asyncio.create_task(stream.write()), asyncio.create_task(stream.read())]
        async with asyncio.timeout(READY_TIMEOUT_S):
            await stream.flows.wait()
        kills = await kill_rounds(cluster, admin, rounds)
        stops, stale = await stop_rounds(cluster, admin, max(1, rounds // 2))
        for task in tasks:
            assert not task.done(), task.exception()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    well &= line(
        f"active coordinator kill -9, median of {len(kills)}", statistics.median(kills), KILL_MEDIAN_S
    )
    print(f"{'  worst':<58} {max(kills):6.2f} s")
    print(f"{'active coordinator SIGSTOP, median':<58} {statistics.median(stops):6.2f} s")
    well &= line(f"  worst of {len(stops)}", max(stops), STOP_WORST_S)
    print(f"stale answers of woken coordinators: {stale}")
    well &= line(
        f"longest wait for an acknowledgement of {stream.sent} records", stream.longest_ack_s, STREAM_GAP_S
    )
    well &= line(f"longest wait for a record of {stream.received}", stream.longest_read_s, STREAM_GAP_S)
    return well and not stale


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory(prefix="streamkeep-failover-") as folder:
        return 0 if asyncio.run(run(Path(folder), rounds)) else 1


if __name__ == "__main__":
    sys.exit(main())
