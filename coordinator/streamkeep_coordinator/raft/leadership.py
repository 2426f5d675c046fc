"""What a leader knows beyond what every node knows. Gone with the term: nothing of it outlives leadership."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from streamkeep_coordinator.raft.progress import Progress


class Reader(NamedTuple):
    """Who asked for a read index."""

    coordinator_id: int
    directory_id: bytes
    context: int


class ReadBatch(NamedTuple):
    """Reads that wait until a majority has answered a round of heartbeats that began after they came."""

    round_number: int
    read_index: int
    readers: list[Reader]


@dataclass(slots=True)
class Leadership:
    """Of one term."""

    no_op_index: int
    """The first entry of the term."""
    tick: int = 0
    """Ticks since the term began."""
    progress: dict[int, Progress] = field(default_factory=dict)
    """The other members, by id."""
    uncommitted_bytes: int = 0
    """Of this term's proposals, the no-op not counted."""
    round_number: int = 0
    """Of the newest heartbeats."""
    waiting_reads: list[Reader] = field(default_factory=list)
    """Those that came after the newest round began, or before the term's first commit."""
    read_batches: deque[ReadBatch] = field(default_factory=deque)
    transfer_target: int = 0
    transfer_tick: int = 0
    """When the handing over began."""
    transfer_is_told: bool = False
    """The target was told to campaign."""
