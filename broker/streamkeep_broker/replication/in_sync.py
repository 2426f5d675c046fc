"""The rule for the high watermark. Pure: knows replicas as numbers and their ends, not logs or brokers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def effective_min_in_sync(min_insync_replicas: int, replicas: int) -> int:
    """How many must be in sync: a topic cannot ask for more replicas than it has."""
    return min(min_insync_replicas, replicas)


def least_acknowledged_end(
    acknowledged_ends: Mapping[int, int], in_sync: Sequence[int], *, min_in_sync: int
) -> int | None:
    """The offset below which every record is safe, or None while nothing new may be called safe.

    `in_sync` is the maximal in-sync set: the committed one and its pending additions, pending removals
    still in it (KIP-497, KAFKA-8090). A replica in it that has not said its end yet holds everything back,
    and so does a set smaller than `min_in_sync`.
    """
    if len(in_sync) < min_in_sync:
        return None
    least: int | None = None
    for replica in in_sync:
        end = acknowledged_ends.get(replica)
        if end is None:
            return None
        if least is None or end < least:
            least = end
    return least
