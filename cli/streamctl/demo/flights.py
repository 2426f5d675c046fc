"""The demo's data and arithmetic: departures as JSON records, tallies by carrier. Pure, but for one file."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import NamedTuple

DATA_FILE = "flights-2013-01.csv.gz"
NOT_AVAILABLE = "NA"
_TEXTS = frozenset({"carrier", "tailnum", "origin", "dest", "time_hour"})


class Departures(NamedTuple):
    """The records to send, in order of departure: the key is the carrier, the value the row as JSON."""

    keys: list[bytes]
    values: list[bytes]


def load_departures() -> Departures:
    """January 2013, out of the package."""
    packed = (resources.files("streamctl") / "data" / DATA_FILE).read_bytes()
    rows = list(csv.DictReader(gzip.decompress(packed).decode().splitlines()))
    return Departures([row["carrier"].encode() for row in rows], [as_json(row) for row in rows])


def as_json(row: dict[str, str]) -> bytes:
    """One departure: numbers as numbers, what is not available as null."""
    typed = {name: _typed(name, text) for name, text in row.items()}
    return json.dumps(typed, separators=(",", ":")).encode()


def _typed(name: str, text: str) -> str | int | None:
    if text == NOT_AVAILABLE:
        return None
    return text if name in _TEXTS else int(text)


@dataclass(slots=True)
class CarrierTally:
    """One carrier's departures; a cancelled one counts but has no delay."""

    departures: int = 0
    delayed: int = 0
    delay_minutes: int = 0

    @property
    def mean_delay_minutes(self) -> float | None:
        """Mean departure delay in minutes, early departures negative; None if all were cancelled."""
        return self.delay_minutes / self.delayed if self.delayed else None


@dataclass(slots=True)
class Tally:
    """What was read, by carrier. Two that saw the same records in any order are equal."""

    carriers: dict[str, CarrierTally] = field(default_factory=dict)

    @property
    def departures(self) -> int:
        return sum(carrier.departures for carrier in self.carriers.values())

    def add(self, values: Iterable[bytes | None]) -> None:
        """Count records as `as_json` writes them. Raises ValueError for anything else."""
        for value in values:
            if value is None:
                raise ValueError("a departure has no null value")
            departure = json.loads(value)
            carrier = self.carriers.setdefault(departure["carrier"], CarrierTally())
            carrier.departures += 1
            if departure["dep_delay"] is not None:
                carrier.delayed += 1
                carrier.delay_minutes += departure["dep_delay"]

    def rows(self) -> Sequence[tuple[str, CarrierTally]]:
        """Busiest carrier first."""
        return sorted(self.carriers.items(), key=lambda item: (-item[1].departures, item[0]))
