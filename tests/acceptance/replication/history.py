"""Is an acknowledged record ever lost, doubled, moved or changed while processes, links and disks fail?

    python -m tests.acceptance.replication.history [MINUTES] [FAULTS] [SEED]

Three coordinators and three brokers as real processes, with a proxy in front of each and a disk under each
broker that can be broken. Producers write values of their own to six partitions of three replicas, consumers
read them, and all of it is written down. FAULTS is `all`, `none`, or kinds with commas: kill, stop, term,
cut, alone (a leader with its clients), behind (the followers of a leader that dies), full, slow, hang, both
(the active coordinator and a broker), majority (of the brokers), empty (a disk is lost).

At the end everything is mended, all replicas come back in sync, the log is drained, the history is judged
(`judge.py`) and the replicas are compared byte by byte. Exit code 1 if anything is amiss, or if too little
happened for the verdict to mean anything; then the servers' logs and data stay, and it is said where.
"""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from streamkeep import Admin
from tests.acceptance.replication.clients import TOPIC, Reader, Run, Writer, drain
from tests.acceptance.replication.judge import Anomaly, judge
from tests.acceptance.replication.nemesis import KINDS, WELL_AGAIN_S, Nemesis
from tests.acceptance.replication.status import all_in_sync, differing_replicas, topic_when
from tests.integration.cluster import Cluster
from tests.integration.links import Links

BROKERS = 3
PARTITIONS = 6
WRITERS = 4
READERS = 2
VISITORS = 1
SHOWN_FINDINGS = 5
"""Of each kind."""
LEAST_RECORDS_A_MINUTE = 1_000
NEVER = ("read: OffsetOutOfRangeError", "read: CorruptDataError")
"""Nothing is deleted here and nothing damaged: whoever is told so was told less before, or more."""


class Soak:
    """One run."""

    def __init__(self, cluster: Cluster, admin: Admin, kinds: Sequence[str], seed: int) -> None:
        began_s = time.perf_counter()
        rng = random.Random(seed)

        def forked() -> random.Random:
            return random.Random(rng.random())

        self.run = Run(cluster.bootstrap, PARTITIONS, lambda: time.perf_counter() - began_s)
        self._admin = admin
        self.nemesis = Nemesis(cluster, admin, forked(), kinds=kinds, tell=self._tell)
        self._writers = [Writer(self.run, forked()) for _ in range(WRITERS)]
        stay = [Reader(self.run, f"reader-{number}", forked()) for number in range(READERS)]
        visit = [Reader(self.run, f"visitor-{number}", forked(), visits=True) for number in range(VISITORS)]
        self._readers = [*stay, *visit]

    def _tell(self, what: str) -> None:
        print(f"{self.run.now_s():8.1f} s  {what}", flush=True)

    async def carry_out(self, minutes: float) -> Sequence[str]:
        """Clients and faults for so long, then everything mended and read once more; how replicas differ."""
        await self._admin.create_topic(TOPIC, partitions=PARTITIONS, replication_factor=BROKERS)
        await topic_when(self._admin, TOPIC, all_in_sync)
        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(reader.run()) for reader in self._readers]
            await self._write_under_faults(minutes)
            await topic_when(self._admin, TOPIC, all_in_sync, within_s=WELL_AGAIN_S)
            for task in reading:
                task.cancel()
        async with asyncio.timeout(WELL_AGAIN_S):
            await drain(self.run)
        return await differing_replicas(self._admin, TOPIC, dict(enumerate(self.run.ends)))

    async def _write_under_faults(self, minutes: float) -> None:
        async with asyncio.TaskGroup() as group:
            for writer in self._writers:
                group.create_task(writer.run())
            faults = group.create_task(self.nemesis.run())
            await asyncio.sleep(minutes * 60)
            self.nemesis.stopping.set()
            await faults
            for writer in self._writers:
                writer.stopping = True

    def report(self, minutes: float, differing: Sequence[str]) -> bool:
        """Print the counts and the evidence; True if all is well."""
        verdict = judge(self.run.writings, self.run.readings)
        print(
            f"{verdict.sent:,} records sent by {self.run.producers} producers,"
            f" {verdict.acknowledged:,} acknowledged, {verdict.read:,} handed out"
        )
        print(f"{self.nemesis.faults.total()} faults: {_counted(self.nemesis.faults)}")
        print(f"clients were told: {_counted(self.run.refusals)}")
        print("found: " + ", ".join(f"{verdict.counts[each]} {each.value}" for each in Anomaly))
        for anomaly in verdict.counts:
            of_its_kind = [finding for finding in verdict.findings if finding.anomaly is anomaly]
            for finding in of_its_kind[:SHOWN_FINDINGS]:
                print(f"  {finding}")
        for difference in differing:
            print(f"  replicas differ: {difference}")
        print(f"replicas: {'NOT identical' if differing else 'all identical'}")
        never = [name for name in NEVER if self.run.refusals[name]]
        enough = verdict.acknowledged >= LEAST_RECORDS_A_MINUTE * minutes
        if not enough:
            print("too little was acknowledged for this to mean anything")
        return enough and not (verdict.findings or differing or never)


def _counted(counts: Counter[str]) -> str:
    return "  ".join(f"{name}: {count}" for name, count in sorted(counts.items())) or "nothing"


async def run(folder: Path, minutes: float, kinds: Sequence[str], seed: int) -> bool:
    async with (
        Cluster(folder, coordinators=3, brokers=BROKERS, links=Links(), disk_faults=True) as cluster,
        Admin(cluster.bootstrap, request_timeout_ms=10_000) as admin,
    ):
        soak = Soak(cluster, admin, kinds, seed)
        differing = await soak.carry_out(minutes)
    print(f"{minutes:g} min, seed {seed}")
    return soak.report(minutes, differing)


def chosen(faults: str) -> Sequence[str]:
    """The kinds that are asked for. SystemExit for one that there is not."""
    if faults in ("all", "none"):
        return KINDS if faults == "all" else ()
    kinds = faults.split(",")
    if unknown := set(kinds) - set(KINDS):
        raise SystemExit(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    return kinds


def main() -> int:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    kinds = chosen(sys.argv[2] if len(sys.argv) > 2 else "all")
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    folder = Path(tempfile.mkdtemp(prefix="streamkeep-soak-"))
    well = False
    logging.getLogger("streamkeep").setLevel(logging.CRITICAL)  # what clients are told is counted
    try:
        well = asyncio.run(run(folder, minutes, kinds, seed))
    finally:
        if well:
            shutil.rmtree(folder)
        else:
            print(f"seed {seed}; the servers' logs and data are in {folder}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
