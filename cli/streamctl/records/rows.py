"""Records that came in, as columns, and what was wrong with the rest. Pure.

Between whoever reads an input and whoever sends it: knows no input's form and no cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")
Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Rows:
    """A record is the same index in each column; a column that is None has nothing for any of them.

    `numbers` says which lines (or records) of the input they are, from 1. A topic or partition that is None
    was not said. `bad` tells of lines that are no records; those of `numbers` come before the first of them
    if the input ends there.
    """

    numbers: Sequence[int]
    values: Sequence[bytes | None]
    keys: Sequence[bytes | None] | None = None
    headers: Sequence[Headers] | None = None
    timestamps_ms: Sequence[int] | None = None
    partitions: Sequence[int | None] | None = None
    topics: Sequence[str | None] | None = None
    bad: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.values)

    def pick(self, indexes: Iterable[int]) -> Rows:
        """The records at these places."""
        places = list(indexes)
        if len(places) == len(self):
            return self
        return Rows(
            _pick(self.numbers, places),
            _pick(self.values, places),
            _pick_or_none(self.keys, places),
            _pick_or_none(self.headers, places),
            _pick_or_none(self.timestamps_ms, places),
            _pick_or_none(self.partitions, places),
            _pick_or_none(self.topics, places),
        )


class RowsReader(Protocol):
    """Makes records of an input that comes in chunks, of at most `input.CHUNK_BYTES`.

    After the first bad line it gives nothing more, unless it was told to skip such lines.
    """

    noun: str
    """What the numbers count: "line" or "record"."""

    def feed(self, chunk: bytes) -> Rows:
        """The records that this chunk completes."""
        ...

    def end(self) -> Rows:
        """What is left when nothing more comes."""
        ...


def _pick(column: Sequence[T], places: Sequence[int]) -> list[T]:
    return [column[place] for place in places]


def _pick_or_none(column: Sequence[T] | None, places: Sequence[int]) -> list[T] | None:
    return None if column is None else _pick(column, places)
