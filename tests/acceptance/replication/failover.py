"""How long writes stand still when a broker dies, hangs, leaves or loses its disk.

    python -m tests.acceptance.replication.failover [ROUNDS] [SCENARIO ...]

Three coordinators and three brokers as real processes, three replicas. A client writes a record every 5 ms;
the stall is the longest time between two of its acknowledgements from the blow on. Each scenario is repeated
ROUNDS (20) times on a cluster whose replicas are all in sync again; those with many partitions a quarter as
often. PEER=kafka does the same to a real Kafka of three nodes, with a client tuned to recover soon. Exit code
1 if a bound is passed.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from streamkeep import Admin, Producer
from tests.acceptance.quorum.status import active_id, all_well, quorum_when
from tests.acceptance.replication.kafka_failover import kafka_stalls
from tests.acceptance.replication.pace import PacedWriter
from tests.acceptance.replication.status import leader_when_in_sync, led_by, partition_of, topic_when
from tests.integration.cluster import Cluster

REPLICAS = 3
WITHIN_S = 60.0
IN_SYNC_WITHIN_S = 120.0
NEVER_MS = str(24 * 60 * 60 * 1000)
TOPIC = "paced"


@dataclass(frozen=True, slots=True)
class Bound:
    """What a scenario may take, in seconds."""

    worst_s: float
    median_s: float | None = None


class Victims:
    """What one round does to a cluster, and how it is mended."""

    def __init__(self, cluster: Cluster, admin: Admin, leader: int) -> None:
        self._cluster = cluster
        self._admin = admin
        self.leader = leader
        self.follower = next(number for number in cluster.brokers if number != leader)

    async def kill_leader(self) -> None:
        await self._cluster.brokers[self.leader].kill()

    async def stop_leader(self) -> None:
        self._cluster.brokers[self.leader].pause()

    async def terminate_leader(self) -> None:
        assert await self._cluster.brokers[self.leader].stop() == 0

    async def kill_leader_and_active_coordinator(self) -> None:
        active = self._cluster.coordinators[await active_id(self._admin)]
        await asyncio.gather(self._cluster.brokers[self.leader].kill(), active.kill())

    async def kill_follower(self) -> None:
        await self._cluster.brokers[self.follower].kill()

    async def stop_follower(self) -> None:
        self._cluster.brokers[self.follower].pause()

    async def hang_disk_of_leader(self) -> None:
        self._cluster.disk(self.leader).hang()

    async def mend(self) -> None:
        """Everything runs again."""
        self._cluster.disk(self.leader).heal()
        for server in self._cluster.servers:
            if server.is_running():
                server.resume()
            else:
                await self._cluster.start(server)


Blow = Callable[[Victims], Awaitable[None]]

BLOWS: Mapping[str, tuple[Blow, Bound]] = {
    "kill-leader": (Victims.kill_leader, Bound(1.0, median_s=0.5)),
    "stop-leader": (Victims.stop_leader, Bound(4.0)),
    "term-leader": (Victims.terminate_leader, Bound(0.1)),
    "kill-leader-and-coordinator": (Victims.kill_leader_and_active_coordinator, Bound(2.5)),
    "kill-follower": (Victims.kill_follower, Bound(0.6)),
    "stop-follower": (Victims.stop_follower, Bound(4.0)),
    "hang-leader": (Victims.hang_disk_of_leader, Bound(4.0)),
}
WIDE: Mapping[str, tuple[int, Bound]] = {
    "partitions-100": (100, Bound(1.0)),
    "partitions-2000": (2_000, Bound(3.0)),
}


async def stalls(folder: Path, blow: Blow, rounds: int, *, disk_faults: bool) -> list[float]:
    """Seconds of each round, on a cluster of its own."""
    found = []
    async with (
        Cluster(folder, coordinators=3, brokers=REPLICAS, disk_faults=disk_faults) as cluster,
        Admin(cluster.bootstrap) as admin,
    ):
        await admin.create_topic(TOPIC, partitions=1, replication_factor=REPLICAS)
        async with PacedWriter(cluster.bootstrap, TOPIC) as writer:
            for _ in range(rounds):
                leader = await leader_when_in_sync(admin, TOPIC, within_s=IN_SYNC_WITHIN_S)
                await quorum_when(admin, all_well(3))
                victims = Victims(cluster, admin, leader)
                await writer.acknowledged_after(time.perf_counter())
                struck_s = time.perf_counter()
                await blow(victims)
                found.append(await writer.stall_s(struck_s, within_s=WITHIN_S))
                await victims.mend()
    return found


async def gather_leaders(cluster: Cluster, admin: Admin, topic: str, broker: int) -> None:
    """All other brokers leave and come back, so that this one leads everything."""
    others = [server for number, server in cluster.brokers.items() if number != broker]
    for server in others:
        await server.stop()
    for server in others:
        await cluster.start(server)
    await topic_when(admin, topic, led_by(broker), within_s=IN_SYNC_WITHIN_S)


async def wide_stalls(folder: Path, partitions: int, rounds: int) -> list[float]:
    """Seconds from the death of a broker that leads all partitions until a write to each is acknowledged."""
    found = []
    async with (
        Cluster(
            folder,
            coordinators=3,
            brokers=REPLICAS,
            coordinator_flags={"leader-balance-ms": NEVER_MS},
        ) as cluster,
        Admin(cluster.bootstrap) as admin,
        Producer(cluster.bootstrap) as producer,
    ):
        await admin.create_topic(TOPIC, partitions=partitions, replication_factor=REPLICAS)
        for number in range(rounds):
            victim = 1 + number % REPLICAS
            await gather_leaders(cluster, admin, TOPIC, victim)
            await write_everywhere(producer, partitions)
            began_s = time.perf_counter()
            await cluster.brokers[victim].kill()
            await write_everywhere(producer, partitions)
            found.append(time.perf_counter() - began_s)
            assert (await partition_of(admin, TOPIC)).leader != victim
            await cluster.start(cluster.brokers[victim])
    return found


async def write_everywhere(producer: Producer, partitions: int) -> None:
    deliveries = [await producer.send(TOPIC, b"x", partition=number) for number in range(partitions)]
    async with asyncio.timeout(WITHIN_S):
        for delivery in deliveries:
            await delivery


def line(name: str, found: list[float], bound: Bound, theirs: str) -> bool:
    median_s, worst_s = statistics.median(found), max(found)
    well = worst_s <= bound.worst_s and (bound.median_s is None or median_s <= bound.median_s)
    median_bound = "" if bound.median_s is None else f"{bound.median_s:.1f} s, "
    print(
        f"{name:<30}{len(found):>4} x{median_s:>8.3f} s{worst_s:>8.3f} s"
        f"   ({median_bound}{bound.worst_s:.1f} s){'' if well else '  MISSED'}{theirs}",
        flush=True,
    )
    return well


async def run(folder: Path, rounds: int, names: list[str]) -> bool:
    theirs = kafka_stalls(names) if os.environ.get("PEER") == "kafka" else {}
    print(f"{'writes stood still':<35}{'median':>10}{'worst':>10}   (bounds)   {'Kafka' if theirs else ''}")
    well = True
    for name in names:
        (own := folder / name).mkdir()
        if name in WIDE:
            partitions, bound = WIDE[name]
            found = await wide_stalls(own, partitions, max(1, rounds // 4))
        else:
            blow, bound = BLOWS[name]
            found = await stalls(own, blow, rounds, disk_faults=name == "hang-leader")
        well &= line(name, found, bound, theirs.get(name, ""))
    return well


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    names = sys.argv[2:] or [*BLOWS, *WIDE]
    if unknown := [name for name in names if name not in BLOWS and name not in WIDE]:
        raise SystemExit(f"no such scenario: {', '.join(unknown)}; there are {', '.join([*BLOWS, *WIDE])}")
    with tempfile.TemporaryDirectory(prefix="streamkeep-failover-") as folder:
        return 0 if asyncio.run(run(Path(folder), rounds, names)) else 1


if __name__ == "__main__":
    sys.exit(main())
