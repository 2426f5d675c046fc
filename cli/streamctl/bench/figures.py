"""What a benchmark measured: counts, times and percentiles. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from streamctl.output import Cell, Table

PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p999": 0.999, "max": 1.0}
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Setup:
    """What was run on: without it figures say nothing."""

    topic: str
    partitions: int
    replicas: int
    min_insync_replicas: int
    durability: str

    def place(self) -> str:
        return f"topic '{self.topic}': partitions {self.partitions}, replicas {self.replicas}"

    def sentence(self) -> str:
        """Of what is written."""
        how = {"fsync": "on disk (fsync)", "os": "in the operating system's memory"}
        where = how.get(self.durability, self.durability)
        rule = f"a record is acknowledged when it is {where} of every in-sync replica"
        return f"{self.place()}; {rule}, {self.min_insync_replicas} at least"


@dataclass(frozen=True, slots=True)
class Measured:
    """`times_ms` by what was timed: `acknowledged`, `read` or `batch`."""

    setup: Setup
    records: int
    size_bytes: int
    seconds: float
    times_ms: Mapping[str, Sequence[float]]

    @property
    def records_per_s(self) -> float:
        return self.records / self.seconds if self.seconds else 0.0

    @property
    def mib_per_s(self) -> float:
        return self.size_bytes / _MIB / self.seconds if self.seconds else 0.0

    def fields(self) -> dict[str, object]:
        return {
            "topic": self.setup.topic,
            "partitions": self.setup.partitions,
            "replicas": self.setup.replicas,
            "min_insync_replicas": self.setup.min_insync_replicas,
            "durability": self.setup.durability,
            "records": self.records,
            "bytes": self.size_bytes,
            "seconds": round(self.seconds, 3),
            "records_per_s": round(self.records_per_s, 1),
            "mib_per_s": round(self.mib_per_s, 3),
            "times_ms": {name: percentiles(times) for name, times in self.times_ms.items()},
        }

    def tables(self) -> list[Table]:
        whole = (self.records, self.seconds, round(self.records_per_s), self.mib_per_s)
        columns = ("TIME UNTIL", *(f"{name.upper()} MS" for name in PERCENTILES))
        rows = [(name, *percentiles(times).values()) for name, times in self.times_ms.items()]
        return [Table(("RECORDS", "SECONDS", "RECORDS/S", "MIB/S"), [whole]), Table(columns, rows)]


def percentiles(times_ms: Sequence[float]) -> dict[str, Cell]:
    """By nearest rank, so that each is a time that was measured; None of nothing."""
    ranked = sorted(times_ms)
    return {
        name: round(ranked[max(ceil(share * len(ranked)), 1) - 1], 3) if ranked else None
        for name, share in PERCENTILES.items()
    }
