"""Where in a broker the things are that checkers look at: the one place that knows."""

from __future__ import annotations

from streamkeep_broker.replication.partition import Partition


def maximal_isr(partition: Partition) -> set[int]:
    """Whom a leader counts for the high watermark."""
    leadership = partition.leadership
    assert leadership is not None, f"{partition.name} does not lead"
    isr = leadership._isr
    return {*isr.committed, *isr.additions}
