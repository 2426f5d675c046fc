"""Where each record goes, and which go there together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from streamctl.records.rows import Rows


class Target(NamedTuple):
    """A topic and a partition of it; if that is None, the key or the producer decides."""

    topic: str
    partition: int | None


def targets_of(rows: Rows, topic: str | None, partition: int | None) -> list[Target]:
    """What is given here wins over what a record says. A record without either topic has ""."""
    count = len(rows)
    topics: Iterable[str | None] = rows.topics or [None] * count if topic is None else [topic] * count
    partitions = rows.partitions or [None] * count if partition is None else [partition] * count
    return [Target(name or "", number) for name, number in zip(topics, partitions, strict=True)]


def shipments(targets: Sequence[Target], places: Iterable[int]) -> list[tuple[Target, list[int]]]:
    """The records at these places, those for one target together.

    Each partition's records stay in order: one that does not say its partition may belong to any, so it
    passes none that does.
    """
    sent: list[tuple[Target, list[int]]] = []
    for _, run in groupby(places, key=lambda place: targets[place].partition is None):
        together: dict[Target, list[int]] = {}
        for place in run:
            together.setdefault(targets[place], []).append(place)
        sent += together.items()
    return sent
