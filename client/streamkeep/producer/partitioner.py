"""Where a record without a key goes (KIP-480, KIP-794): to one partition for so many bytes, in whole batches.

Pure. Partitions with shorter queues are drawn more often; those without a leader are left out while
another has one. Keys go by murmur2 (`streamkeep_common.partitioning`), whoever leads.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from streamkeep_common.limits import KIB

NO_LEADER = -1


TURN_BYTES = 16 * KIB
"""As Kafka's default `batch.size`: who sends little at a time reaches all partitions within seconds, too."""


class StickyPartitioner:
    """Stays on a partition until `turn_bytes` were batched for it.

    The caller asks for a change only between two batches, so that none is cut short: who sends much gives
    each partition one full batch in turn.
    """

    def __init__(self, turn_bytes: int, rng: random.Random) -> None:
        self._turn_bytes = turn_bytes
        self._rng = rng
        self._used_bytes = 0
        self.partition: int | None = None

    def note_batch(self, size: int) -> None:
        """A batch of `size` bytes for the present partition was closed."""
        self._used_bytes += size

    def is_due(self) -> bool:
        """Another partition should be drawn before the next batch is begun."""
        return self.partition is None or self._used_bytes >= self._turn_bytes

    def draw(self, queue_lengths: Sequence[int]) -> int:
        """Choose by the number of batches that wait for each partition, NO_LEADER where none leads."""
        self.partition = draw_partition(queue_lengths, self._rng.random())
        self._used_bytes = 0
        return self.partition


def draw_partition(queue_lengths: Sequence[int], draw: float) -> int:
    """The partition at `draw` (0 to below 1) when each weighs the longest queue minus its own, plus one."""
    longest = max(queue_lengths)
    if longest == NO_LEADER:
        return int(draw * len(queue_lengths))
    weights = (0 if length == NO_LEADER else longest + 1 - length for length in queue_lengths)
    bounds = list(accumulate(weights))
    return bisect_right(bounds, draw * bounds[-1])
