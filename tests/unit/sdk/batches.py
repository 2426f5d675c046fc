"""Batches for tests that need no producer around them."""

from __future__ import annotations

from streamkeep.producer.batch import Batch
from streamkeep.producer.delivery import Receipt


def closed_batch(*values: bytes, opened_s: float = 0.0) -> Batch:
    """A batch of these records, closed, as a sequencer gets it."""
    batch = Batch(Receipt("t", 0, 1_000), opened_s)
    for value in values:
        batch.append(value, None, None, 1_000, len(value))
    batch.close()
    return batch
