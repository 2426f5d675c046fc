"""`make bench`: Streamkeep beside a real Apache Kafka in one run, as ratios.

Three nodes of each with three replicas, or one node of each. Both systems run at once and idle in turn;
rounds are interleaved (Kafka, Streamkeep, Kafka, ...), the first round of each warms caches and the JVM's
compiler and is dropped, and the best of the others counts, for both alike. Durability differs in Kafka's
favour: its acknowledgement means the page caches of all replicas in sync, ours their disks.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.bench.driver import Driver
from tests.bench.peers.kafka import Kafka
from tests.bench.peers.streamkeep import Streamkeep
from tests.bench.report import LATENCY_TOPICS, RATES, Figures, report
from tests.bench.rounds import Round

WORK = Path(__file__).resolve().parents[2] / ".bench"


def resident_mib(pids: list[int]) -> float:
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def memory(kafka: Kafka, ours: Streamkeep) -> str:
    return f"Streamkeep {resident_mib(ours.pids()):.0f} MiB, Kafka {resident_mib(kafka.pids()):.0f} MiB"


def measure(
    nodes: int, rounds: int, share: float, their_driver: Driver, our_driver: Driver
) -> tuple[Figures, Figures]:
    """All rounds; Kafka's figures and ours."""
    theirs, mine = Figures(), Figures()
    producing = [rate for rate in RATES[nodes] if rate.operation == "produce"]
    consuming = [rate for rate in RATES[nodes] if rate.operation == "consume"]
    for number in range(rounds + 1):
        print(f"round {number} of {rounds}{' (warm-up, dropped)' if number == 0 else ''}", file=sys.stderr)
        their_round = Round(their_driver, number, share=share)
        our_round = Round(our_driver, number, share=share)
        their_modes = list(dict.fromkeys(rate.theirs for rate in producing))
        their_readers = list(dict.fromkeys(rate.theirs for rate in consuming))
        found = [
            (theirs, their_round.rates(their_modes, their_readers)),
            (mine, our_round.rates([rate.ours for rate in producing], [rate.ours for rate in consuming])),
            (theirs, their_round.latencies({"sync": {}, "paced": {}})),
            (mine, our_round.latencies(LATENCY_TOPICS)),
            (mine, our_round.callers()),
        ]
        for figures, measured in found:
            for name, figure in measured:
                if number > 0:
                    figures.add(name, figure)
    return theirs, mine


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds (default 3)")
    parser.add_argument("--nodes", type=int, choices=sorted(RATES), default=3, help="of each (default 3)")
    parser.add_argument("--share", type=float, default=1.0, help="of the records (default 1: 2 M of 100 B)")
    parser.add_argument(
        "--kafka-batch-bytes",
        type=int,
        default=1_000_000,
        help="Kafka's batch.size (default 1000000, which serves it best; 262144 is a common choice)",
    )
    arguments = parser.parse_args()
    nodes: int = arguments.nodes
    kafka, ours = Kafka(WORK, nodes), Streamkeep(WORK, nodes)
    kafka.get()
    try:
        kafka_start = kafka.start()
        our_start = ours.start()
        print(f"ready after: Streamkeep {our_start:.2f} s, Kafka {kafka_start:.2f} s")
        print(f"memory, idle: {memory(kafka, ours)}")
        print(f"Kafka's batch.size: {arguments.kafka_batch_bytes}")
        their_driver = Driver(
            kafka.python,
            "drive_kafka.py",
            kafka.bootstrap,
            replicas=nodes,
            batch_bytes=arguments.kafka_batch_bytes,
        )
        our_driver = Driver(ours.python, "drive_streamkeep.py", ours.bootstrap, replicas=nodes)
        theirs, mine = measure(nodes, arguments.rounds, arguments.share, their_driver, our_driver)
        their_driver.close()
        our_driver.close()
        print(f"nodes and replicas: {nodes}; an acknowledgement means, on all replicas in sync:")
        print("Streamkeep fsync, Kafka page cache")
        met = report(nodes, theirs, mine)
        print(f"memory, after: {memory(kafka, ours)}")
        return 0 if met else 1
    finally:
        ours.stop()
        kafka.stop()


if __name__ == "__main__":
    sys.exit(main())
