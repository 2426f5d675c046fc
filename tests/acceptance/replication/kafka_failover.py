"""The same blows to a real Kafka of three nodes, written to through confluent-kafka at the same pace."""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.bench.peers.kafka import Kafka

ROOT = Path(__file__).resolve().parents[3]
ROUNDS = 3
WITHIN_S = 50.0
TOPIC = "paced"

BLOWS: Mapping[str, tuple[signal.Signals, bool]] = {
    "kill-leader": (signal.SIGKILL, True),
    "stop-leader": (signal.SIGSTOP, True),
    "term-leader": (signal.SIGTERM, True),
    "kill-follower": (signal.SIGKILL, False),
    "stop-follower": (signal.SIGSTOP, False),
}
"""The signal, and whether the leader gets it. Its nodes are brokers and controllers at once, and three of
them do not bear the loss of two."""


class _Pace:
    """The writing process."""

    def __init__(self, kafka: Kafka) -> None:
        script = ROOT / "tests" / "bench" / "drivers" / "pace_kafka.py"
        command = [str(kafka.python), str(script), kafka.bootstrap, TOPIC]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, operation: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps({"operation": operation, **arguments}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the driver of Kafka died")
        return json.loads(line)["answer"]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def kafka_stalls(names: Iterable[str]) -> Mapping[str, str]:
    """For each of these scenarios that Kafka can be put through, what it took, in words."""
    kafka = Kafka(ROOT / ".bench", nodes=3)
    kafka.get()
    try:
        kafka.start()
        pace = _Pace(kafka)
        try:
            return {name: _described(_stalls(kafka, pace, *BLOWS[name])) for name in names if name in BLOWS}
        finally:
            pace.close()
    finally:
        kafka.stop()


def _stalls(kafka: Kafka, pace: _Pace, number: signal.Signals, hits_leader: bool) -> list[float | None]:
    found = []
    for _ in range(ROUNDS):
        leader = pace.ask("leader")
        victim = leader if hits_leader else next(node for node in kafka.nodes if node != leader)
        pace.ask("strike")
        kafka.signal(victim, number)
        found.append(pace.ask("stall", within_s=WITHIN_S))
        if number is signal.SIGSTOP:
            kafka.signal(victim, signal.SIGCONT)
        else:
            kafka.ended(victim)
            kafka.spawn(victim)
            kafka.wait_until_started(victim)
    return found


def _described(found: list[float | None]) -> str:
    seconds = [each for each in found if each is not None]
    if len(seconds) < len(found):
        return f"   not within {WITHIN_S:.0f} s, {len(found) - len(seconds)} of {len(found)} times"
    return f"   {statistics.median(seconds):.1f} s, worst {max(seconds):.1f} s"
