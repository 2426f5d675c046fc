"""The rule for the high watermark. Pure: knows replicas as numbers and their ends, not logs or brokers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def least_acknowledged_end(
    acknowledged_ends: Mapping[int, int],
    *,
    committed: Sequence[int],
    additions: Sequence[int] = (),
    required: int,
) -> int | None:
    """The offset below which every record is safe, or None while nothing new may be called safe.

    It is taken over the maximal in-sync set (KIP-497, KAFKA-8090): the committed one, in which pending
    removals still are, and the pending `additions`. A replica in it that has not said its end yet holds
    everything back. Whether there are enough of them is asked of the committed set alone: one that may never
    be let in makes nothing safe, and below `required` the watermark is frozen (KIP-966).
    """
    if len(committed) < required:
        return None
    least: int | None = None
    for replica in (*committed, *additions):
        end = acknowledged_ends.get(replica)
        if end is None:
            return None
        if least is None or end < least:
            least = end
    return least
