"""What happened in simulations, counted; and what must have happened for them to prove anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def missing(counts: Counter[str], required: Iterable[str]) -> list[str]:
    """Required kinds of events that never happened."""
    return [kind for kind in required if not counts[kind]]


def table(counts: Counter[str]) -> str:
    """For people: every kind and how often, network traffic last."""
    ordered = sorted(counts.items(), key=lambda item: (item[0].startswith("network."), item[0]))
    return "\n".join(f"  {count:>10,}  {kind}" for kind, count in ordered)
