"""`make bench`: Streamkeep beside a real Apache Kafka in one run, as ratios.

Both servers run at once and idle in turn; rounds are interleaved (Kafka, Streamkeep, Kafka, ...), the
first round of each warms caches and the JVM's compiler and is dropped, and the best of the others
counts, for both alike. Durability differs in Kafka's favour: its acknowledgement means page cache,
ours means fsync.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.peers.kafka import Kafka
from tests.bench.peers.streamkeep import Streamkeep

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".bench"
SHAPES = [(partitions, size) for partitions in (1, 6) for size in (100, 1000)]
RECORDS = {100: 2_000_000, 1000: 400_000}
CALLER_RECORDS = 64 * 1500

# What ours is measured against which of Kafka's, and the ratio it must reach; None = reported only.
TARGETS: list[tuple[str, str, str, dict[int, float | None]]] = [
    ("produce", "send_many", "plain", {100: 3.0, 1000: 2.0}),
    ("produce", "send_nowait", "plain", {100: 1.0, 1000: 1.0}),
    ("produce", "keyed", "keyed", {100: None, 1000: None}),
    ("consume", "batches", "records", {100: 3.0, 1000: 3.0}),
    ("consume", "async_for", "records", {100: 1.0, 1000: 1.0}),
]


@dataclass(frozen=True, slots=True)
class Figure:
    """Records per second of one system, operation and shape; one entry a counted round."""

    rates: list[float]

    @property
    def best(self) -> float:
        return max(self.rates)

    @property
    def spread(self) -> float:
        """Worst over best: 1 is a quiet machine."""
        return min(self.rates) / max(self.rates)


class Driver:
    """A driver process: one JSON command in, one JSON result out."""

    def __init__(self, python: Path, script: str, bootstrap: str) -> None:
        command = [str(python), str(ROOT / "tests" / "bench" / "drivers" / script), bootstrap]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, **command: Any) -> float:
        os.sync()  # what the other system left dirty must not be written back on this one's time
        assert self._process.stdin and self._process.stdout
        print(json.dumps(command), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the driver died of {command}")
        return float(json.loads(line)["seconds"])

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def one_round(
    driver: Driver, number: int, producing: list[str], consuming: list[str]
) -> Iterator[tuple[str, float]]:
    """Yield (what/partitions/size, records per second) for every mode and shape."""
    for partitions, size in SHAPES:
        records = RECORDS[size]
        for mode in producing:
            topic = f"bench-{number}-{partitions}-{size}-{mode}"
            shape = {"topic": topic, "partitions": partitions, "size": size, "records": records}
            driver.run(operation="create", **shape)
            seconds = driver.run(operation="produce", mode=mode, **shape)
            yield f"{mode}/{partitions}/{size}", records / seconds
            if mode == producing[0]:
                for reader in consuming:
                    seconds = driver.run(operation="consume", mode=reader, **shape)
                    yield f"{reader}/{partitions}/{size}", records / seconds
            driver.run(operation="delete", **shape)


def caller_round(driver: Driver, number: int) -> float:
    shape = {"topic": f"bench-{number}-callers", "partitions": 1, "size": 100, "records": CALLER_RECORDS}
    driver.run(operation="create", **shape)
    seconds = driver.run(operation="produce", mode="callers", **shape)
    driver.run(operation="delete", **shape)
    return CALLER_RECORDS / seconds


def resident_mib(pids: list[int]) -> float:
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def memory(kafka: Kafka, ours: Streamkeep) -> str:
    return f"Streamkeep {resident_mib(ours.pids()):.0f} MiB, Kafka {resident_mib(kafka.pids()):.0f} MiB"


def measure(rounds: int, kafka: Kafka, ours: Streamkeep) -> tuple[dict[str, Figure], dict[str, Figure]]:
    theirs_driver = Driver(kafka.python, "drive_kafka.py", kafka.bootstrap)
    ours_driver = Driver(ours.python, "drive_streamkeep.py", ours.bootstrap)
    theirs: dict[str, Figure] = {}
    mine: dict[str, Figure] = {}
    modes = [ours_mode for operation, ours_mode, _, _ in TARGETS if operation == "produce"]
    readers = [ours_mode for operation, ours_mode, _, _ in TARGETS if operation == "consume"]
    for number in range(rounds + 1):
        print(f"round {number} of {rounds}{' (warm-up, dropped)' if number == 0 else ''}", file=sys.stderr)
        for figures, driver, producing, consuming in (
            (theirs, theirs_driver, ["plain", "keyed"], ["records"]),
            (mine, ours_driver, modes, readers),
        ):
            for name, rate in one_round(driver, number, producing, consuming):
                if number > 0:
                    figures.setdefault(name, Figure([])).rates.append(rate)
        rate = caller_round(ours_driver, number)
        if number > 0:
            mine.setdefault("callers", Figure([])).rates.append(rate)
    theirs_driver.close()
    ours_driver.close()
    return theirs, mine


def report(theirs: dict[str, Figure], mine: dict[str, Figure]) -> bool:
    """Print the table; True when every target was met."""
    print(f"{'':24}{'Streamkeep':>14}{'Kafka':>14}{'ratio':>8}{'target':>8}   spread (ours, Kafka's)")
    met = True
    for _, ours_mode, their_mode, targets in TARGETS:
        for partitions, size in SHAPES:
            own = mine[f"{ours_mode}/{partitions}/{size}"]
            other = theirs[f"{their_mode}/{partitions}/{size}"]
            ratio, target = own.best / other.best, targets[size]
            name = f"{ours_mode} {size} B, {partitions}p"
            goal = f"{target:.1f}x" if target else "-"
            verdict = "" if target is None or ratio >= target else "  MISSED"
            met = met and not verdict
            print(
                f"{name:24}{own.best:>12,.0f}/s{other.best:>12,.0f}/s{ratio:>7.2f}x{goal:>8}"
                f"   {own.spread:.2f}, {other.spread:.2f}{verdict}"
            )
    rate = mine["callers"].best
    verdict = "" if rate >= 20_000 else "  MISSED"
    print(f"64 callers, one 100 B record each: {rate:,.0f} acks/s, target 20,000{verdict}")
    return met and not verdict


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds (default 3)")
    arguments = parser.parse_args()
    kafka, ours = Kafka(WORK), Streamkeep(WORK)
    kafka.get()
    try:
        kafka_start = kafka.start()
        our_start = ours.start()
        print(f"ready after: Streamkeep {our_start:.2f} s, Kafka {kafka_start:.2f} s")
        print(f"memory, idle: {memory(kafka, ours)}")
        theirs, mine = measure(arguments.rounds, kafka, ours)
        print("one broker each; an acknowledgement means: Streamkeep fsync, Kafka page cache")
        met = report(theirs, mine)
        print(f"memory, after: {memory(kafka, ours)}")
        return 0 if met else 1
    finally:
        ours.stop()
        kafka.stop()


if __name__ == "__main__":
    sys.exit(main())
