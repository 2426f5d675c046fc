"""What the benchmark compares, what must come out, and the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.bench.rounds import SHAPES


@dataclass(slots=True)
class Figures:
    """All figures of one system, one entry a counted round."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, figure: float) -> None:
        self.values.setdefault(name, []).append(figure)

    def best(self, name: str, *, lower: bool = False) -> float:
        return min(self.values[name]) if lower else max(self.values[name])

    def spread(self, name: str) -> float:
        """Least over greatest: 1 is a quiet machine."""
        return min(self.values[name]) / max(self.values[name])


class Rate(NamedTuple):
    """A way of ours to move records, against which of Kafka's; the ratio to reach, by record size."""

    operation: str
    ours: str
    theirs: str
    goals: Mapping[int, float | None]


class Latency(NamedTuple):
    """A figure of ours in ms, against which of Kafka's; the ratio not to pass."""

    ours: str
    theirs: str
    goal: float | None


NO_GOAL: Mapping[int, float | None] = {100: None, 1000: None}

RATES: Mapping[int, Sequence[Rate]] = {
    1: [
        Rate("produce", "send_many", "plain", {100: 3.0, 1000: 2.0}),
        Rate("produce", "send_nowait", "plain", {100: 1.0, 1000: 1.0}),
        Rate("produce", "keyed", "keyed", NO_GOAL),
        Rate("consume", "batches", "records", {100: 3.0, 1000: 3.0}),
        Rate("consume", "async_for", "records", {100: 1.0, 1000: 1.0}),
    ],
    3: [
        Rate("produce", "send_many", "plain", {100: 4.0, 1000: 2.0}),
        Rate("produce", "send_nowait", "plain", {100: 1.5, 1000: 1.5}),
        Rate("consume", "batches", "records", NO_GOAL),
    ],
}
"""By the number of nodes, which is also that of replicas."""

LATENCIES = [
    Latency("sync/p50", "sync/p50", None),
    Latency("sync/p99", "sync/p99", 1.0),
    Latency("sync-os/p50", "sync/p50", 1.25),
    Latency("sync-os/p99", "sync/p99", None),
    Latency("paced/p50", "paced/p50", None),
    Latency("paced/p99", "paced/p99", 0.5),
    Latency("paced-os/p50", "paced/p50", None),
    Latency("paced-os/p99", "paced/p99", None),
]
"""`sync`: one record, its acknowledgement, the next. `paced`: from producer to consumer, at 1,000 a second.
`os`: acknowledged when the page caches of all replicas in sync have it, as Kafka does."""

LATENCY_TOPICS: Mapping[str, Mapping[str, str]] = {
    "sync": {},
    "sync-os": {"durability": "os"},
    "paced": {},
    "paced-os": {"durability": "os"},
}
CALLERS_GOAL = 20_000


def report(nodes: int, theirs: Figures, mine: Figures) -> bool:
    """Print the tables; True when every target was met."""
    print(f"{'':26}{'Streamkeep':>14}{'Kafka':>14}{'ratio':>8}{'target':>8}   spread (ours, Kafka's)")
    met = True
    for rate in RATES[nodes]:
        for partitions, size in SHAPES:
            name = f"{rate.ours} {size} B, {partitions}p"
            ours, other = f"{rate.ours}/{partitions}/{size}", f"{rate.theirs}/{partitions}/{size}"
            figures = mine.best(ours), theirs.best(other)
            spreads = f"{mine.spread(ours):.2f}, {theirs.spread(other):.2f}"
            met &= _rate_line(name, *figures, rate.goals[size], spreads)
    for latency in LATENCIES:
        figures = mine.best(latency.ours, lower=True), theirs.best(latency.theirs, lower=True)
        spreads = f"{mine.spread(latency.ours):.2f}, {theirs.spread(latency.theirs):.2f}"
        met &= _latency_line(latency.ours, *figures, latency.goal if nodes > 1 else None, spreads)
    rate_of_callers = mine.best("callers")
    missed = nodes == 1 and rate_of_callers < CALLERS_GOAL
    goal = f", target {CALLERS_GOAL:,}" if nodes == 1 else ""
    print(f"64 callers, one 100 B record each: {rate_of_callers:,.0f} acks/s{goal}{_verdict(missed)}")
    return met and not missed


def _rate_line(name: str, ours: float, theirs: float, goal: float | None, spreads: str) -> bool:
    ratio = ours / theirs
    missed = goal is not None and ratio < goal
    target = f"{goal:.2g}x" if goal else "-"
    figures = f"{ours:>12,.0f}/s{theirs:>12,.0f}/s"
    print(f"{name:26}{figures}{ratio:>7.2f}x{target:>8}   {spreads}{_verdict(missed)}")
    return not missed


def _latency_line(name: str, ours: float, theirs: float, goal: float | None, spreads: str) -> bool:
    ratio = ours / theirs
    missed = goal is not None and ratio > goal
    target = f"<{goal:.3g}x" if goal else "-"
    figures = f"{ours:>11.2f} ms{theirs:>11.2f} ms"
    print(f"{name:26}{figures}{ratio:>7.2f}x{target:>8}   {spreads}{_verdict(missed)}")
    return not missed


def _verdict(missed: bool) -> str:
    return "  MISSED" if missed else ""
