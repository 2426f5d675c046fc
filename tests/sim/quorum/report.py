"""What happened in simulations, counted; and what must have happened for them to prove anything."""

from __future__ import annotations

from collections import Counter

REQUIRED = (
    "elected",
    "truncated",
    "snapshot installed",
    "quarantined",
    "membership",
    "learner promoted",
    "voter removed",
    "leadership transferred",
    "power cut",
    "killed",
    "stopped",
    "directory emptied",
    "bit flipped",
    "file truncated",
    "disk full",
    "disk slow",
    "sync failed",
    "cut one way",
    "cut both ways",
    "split",
    "connections broken",
    "clock jump",
    "clock drift",
    "all restarted",
    "broker killed",
    "broker cut off",
    "fenced",
    "broker.snapshot",
    "read confirmed",
    "stale answer",
    "create.done",
    "create.unknown",
    "delete.done",
    "refused.NOT_ACTIVE",
    "refused.NO_QUORUM",
    "message lost",
    "message repeated",
    "message late",
)
"""Over the default seeds of `make sim` none of these may be zero."""


def missing(counts: Counter[str]) -> list[str]:
    """Required kinds of events that never happened."""
    return [kind for kind in REQUIRED if not counts[kind]]


def table(counts: Counter[str]) -> str:
    """For people: every kind and how often, network traffic last."""
    ordered = sorted(counts.items(), key=lambda item: (item[0].startswith("network."), item[0]))
    return "\n".join(f"  {count:>10,}  {kind}" for kind, count in ordered)
