"""Who may be fenced: nobody but a broker that was itself in trouble.

A broker is *in trouble* while it is down or stands still, while a link between it and any coordinator is cut,
and for PATIENCE_S after that. Whatever happens among the coordinators is no fault of its: they may die, hang,
lose their disks, lose each other and change their leader as often as they like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamkeep_proto.v1.metadata_pb2 import MetadataEntry
from tests.sim.violation import require

NOT_FENCED = "no broker is fenced for what happens to coordinators"
PATIENCE_S = 10.0
"""The session timeout, an election or two, and the time to come back."""


class Troubles:
    """Why a broker might be fenced. `time` is of the simulation."""

    def __init__(self, brokers: list[int], time: Callable[[], float]) -> None:
        self._time = time
        self._until = dict.fromkeys(brokers, 0.0)
        self._open = dict.fromkeys(brokers, 0)
        self._fencing: dict[tuple[int, int], dict[int, bool]] = {}
        """Entries that fence brokers, and whether that was explained when they were proposed."""

    @contextmanager
    def of(self, broker: int) -> Iterator[None]:
        """The broker is in trouble for as long as this is entered, and for a while after it."""
        self._open[broker] += 1
        try:
            yield
        finally:
            self._open[broker] -= 1
            self._until[broker] = self._time() + PATIENCE_S

    def explain(self, broker: int) -> bool:
        """The broker is, or was a short while ago, in trouble."""
        return self._open[broker] > 0 or self._time() < self._until[broker]

    def proposed(self, entry: MetadataEntry) -> None:
        """Somebody means to do this now; it may be committed much later, when a quorum is there again."""
        fenced = [
            record.broker_fenced.broker_id
            for record in entry.records
            if record.HasField("broker_fenced") and record.broker_fenced.fenced
        ]
        if fenced:
            self._fencing[entry.index, entry.term] = {broker: self.explain(broker) for broker in fenced}

    def committed(self, index: int, term: int) -> list[int]:
        """Brokers that this entry fences. Raises if one of them was blameless."""
        fenced = self._fencing.get((index, term), {})
        for broker, was_explained in fenced.items():
            require(was_explained, NOT_FENCED, f"entry {index} of term {term} fences broker {broker}")
        return list(fenced)
