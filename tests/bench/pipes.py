"""`make pipes`: lines through `streamctl produce` and `consume`, beside kcat on a real Kafka, in one run.

Three nodes and three replicas of each; one partition; idempotent, acks=all; ours flushed to disk on all
in-sync replicas, Kafka's in page caches. Rounds are interleaved, the first is dropped, and the best of the
others counts, for both alike. Needs `kcat` on the PATH for the second column.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tests.bench.__main__ import WORK
from tests.bench.peers.kafka import Kafka
from tests.bench.peers.streamkeep import Streamkeep

GOAL_LINES_PER_S = 500_000
NODES = 3


class Timed(NamedTuple):
    """What one command did with all lines: lines a second, and its greatest resident size in MiB."""

    rate: float
    peak_mib: float


def run(command: Sequence[str], lines: int, *, stdin: Path, stdout: Path) -> Timed:
    """From its start to its end. What it writes is counted, so nothing is lost unseen."""
    with stdin.open("rb") as source, stdout.open("wb") as sink:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=source, stdout=sink)
        _, status, usage = os.wait4(process.pid, 0)
        elapsed_s = time.perf_counter() - began
    if status:
        raise SystemExit(f"{' '.join(command)} failed: {status}")
    return Timed(lines / elapsed_s, usage.ru_maxrss / 1024)


class Numbers:
    """The lines of `seq`, in a file, so that `seq` takes no part of the cores."""

    def __init__(self, lines: int) -> None:
        self.lines = lines
        self.path = WORK / f"numbers-{lines}.txt"
        self.copy = WORK / "numbers-read.txt"
        with self.path.open("wb") as file:
            subprocess.run(["seq", str(lines)], stdout=file, check=True)

    def round(self, produce: Sequence[str], consume: Sequence[str]) -> tuple[Timed, Timed]:
        """In and out again, and the same."""
        nothing = Path(os.devnull)
        written = run(produce, self.lines, stdin=self.path, stdout=nothing)
        read = run(consume, self.lines, stdin=nothing, stdout=self.copy)
        subprocess.run(["cmp", str(self.path), str(self.copy)], check=True)
        return written, read


def streamctl(ours: Streamkeep, *arguments: str) -> list[str]:
    command = shutil.which("streamctl", path=str(Path(sys.executable).parent))
    assert command is not None, "the command line is installed beside this Python"
    return [command, "--bootstrap", ours.bootstrap, *arguments]


def round_of_ours(ours: Streamkeep, numbers: Numbers, topic: str) -> tuple[Timed, Timed]:
    subprocess.run(
        streamctl(ours, "topic", "create", topic, "--partitions", "1"), check=True, stdout=subprocess.DEVNULL
    )
    consume = streamctl(ours, "consume", topic, "-O", "start", "-e")
    return numbers.round(streamctl(ours, "produce", topic), consume)


def round_of_kcat(kafka: Kafka, numbers: Numbers, topic: str) -> tuple[Timed, Timed]:
    kcat = ["kcat", "-q", "-b", kafka.bootstrap, "-t", topic]
    produce = [*kcat, "-P", "-X", "acks=-1,enable.idempotence=true", "-X", "linger.ms=20,batch.size=1000000"]
    return numbers.round(produce, [*kcat, "-C", "-o", "beginning", "-e"])


def best(rounds: Sequence[tuple[Timed, Timed]]) -> tuple[Timed, Timed]:
    return max(each for each, _ in rounds), max(each for _, each in rounds)


def report(ours: tuple[Timed, Timed], theirs: tuple[Timed, Timed] | None, lines: int) -> int:
    """Prints the table; 1 if a goal is missed."""
    print(f"{lines:,} lines            streamctl: lines/s, peak MiB        kcat: lines/s, peak MiB")
    for number, name in enumerate(("produce", "consume")):
        mine = ours[number]
        other = f"{theirs[number].rate:>14,.0f} {theirs[number].peak_mib:>6.0f}" if theirs else ""
        missed = "" if mine.rate >= GOAL_LINES_PER_S else f"  MISSED: {GOAL_LINES_PER_S:,}"
        print(f"{name:<24}{mine.rate:>14,.0f} {mine.peak_mib:>6.0f}          {other}{missed}")
    return int(any(each.rate < GOAL_LINES_PER_S for each in ours))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pipes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="counted rounds (default 2)")
    parser.add_argument("--lines", type=int, default=5_000_000, help="a round (default 5 M)")
    arguments = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    numbers = Numbers(arguments.lines)
    with ExitStack() as stack:
        ours = Streamkeep(WORK, NODES)
        stack.callback(ours.stop)
        ours.start()
        kafka = None
        if shutil.which("kcat"):
            kafka = Kafka(WORK, NODES)
            kafka.get()
            stack.callback(kafka.stop)
            kafka.start()
        mine, theirs = [], []
        for number in range(arguments.rounds + 1):
            topic = f"numbers-{number}"
            mine.append(round_of_ours(ours, numbers, topic))
            if kafka is not None:
                theirs.append(round_of_kcat(kafka, numbers, topic))
        return report(best(mine[1:]), best(theirs[1:]) if theirs else None, arguments.lines)


if __name__ == "__main__":
    sys.exit(main())
