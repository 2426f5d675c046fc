"""What a partition knows of its producers, so that a batch sent twice is stored once (KIP-98). Pure.

Per producer: its epoch and its last five batches, as many as an SDK has in flight. A producer's sequence
counts records, starts at 0 in each epoch, and wraps to 0 after 2147483647. Within an epoch every sequence
below the last one was accepted once, so a sequence that lies behind is a duplicate, whatever its age.
"""

from __future__ import annotations

from typing import NamedTuple

from streamkeep_common.errors import (
    DuplicateSequenceError,
    OutOfOrderSequenceError,
    ProducerFencedError,
    UnknownProducerError,
)
from streamkeep_common.limits import MAX_SEQUENCE
from streamkeep_common.records.frame import CONTROL, FrameHeader

REMEMBERED_BATCHES = 5
_SEQUENCES = MAX_SEQUENCE + 1


class Duplicate(NamedTuple):
    """Where a batch that came again was stored the first time."""

    base_offset: int
    next_offset: int
    append_time_ms: int


class StoredBatch(NamedTuple):
    """One of a producer's last batches."""

    first_sequence: int
    last_sequence: int
    base_offset: int
    next_offset: int
    append_time_ms: int


class ProducerState:
    """One producer's epoch and last batches, oldest first, never none."""

    __slots__ = ("batches", "epoch")

    def __init__(self, epoch: int, batches: list[StoredBatch]) -> None:
        self.epoch = epoch
        self.batches = batches


class ProducerStates:
    """All producers of one partition, by id."""

    __slots__ = ("_states",)

    def __init__(self) -> None:
        self._states: dict[int, ProducerState] = {}

    def __len__(self) -> int:
        return len(self._states)

    @property
    def by_id(self) -> dict[int, ProducerState]:
        """In the order in which they were first heard of. Not to be changed."""
        return self._states

    def check(
        self, producer_id: int, producer_epoch: int, base_sequence: int, record_count: int
    ) -> Duplicate | None:
        """None if the batch may be appended, a Duplicate if it was.

        Raises UnknownProducerError (no state, and not a first batch), ProducerFencedError (an older epoch),
        DuplicateSequenceError (stored too long ago to say where), OutOfOrderSequenceError (a gap).
        """
        state = self._states.get(producer_id)
        if state is None:
            if base_sequence:
                raise UnknownProducerError(
                    f"producer {producer_id} is not known here and its sequence is {base_sequence}, not 0"
                )
            return None
        if producer_epoch != state.epoch:
            _check_new_epoch(producer_id, state.epoch, producer_epoch, base_sequence)
            return None
        last = state.batches[-1].last_sequence
        if base_sequence == _after(last):
            return None
        return _find_duplicate(state.batches, producer_id, base_sequence, record_count)

    def record(
        self,
        producer_id: int,
        producer_epoch: int,
        *,
        base_sequence: int,
        last_offset_delta: int,
        base_offset: int,
        append_time_ms: int,
    ) -> None:
        """Take note of a batch in the log. Nothing is checked: what the log holds was accepted."""
        batch = StoredBatch(
            base_sequence,
            (base_sequence + last_offset_delta) & MAX_SEQUENCE,
            base_offset,
            base_offset + last_offset_delta + 1,
            append_time_ms,
        )
        state = self._states.get(producer_id)
        if state is None or state.epoch != producer_epoch:
            self._states[producer_id] = ProducerState(producer_epoch, [batch])
            return
        state.batches.append(batch)
        if len(state.batches) > REMEMBERED_BATCHES:
            del state.batches[0]

    def take_in(self, header: FrameHeader) -> None:
        """Take note of a frame in the log, by whoever it was written."""
        if header.producer_id > 0 and not header.attributes & CONTROL:
            self.record(
                header.producer_id,
                header.producer_epoch,
                base_sequence=header.base_sequence,
                last_offset_delta=header.last_offset_delta,
                base_offset=header.base_offset,
                append_time_ms=header.append_time_ms,
            )

    def restore(self, producer_id: int, state: ProducerState) -> None:
        """Take over a producer from a snapshot."""
        self._states[producer_id] = state

    def expire(self, now_ms: int, expiration_ms: int) -> None:
        """Forget the producers whose last batch was appended more than `expiration_ms` ago."""
        oldest_ms = now_ms - expiration_ms
        silent = [key for key, state in self._states.items() if state.batches[-1].append_time_ms < oldest_ms]
        for producer_id in silent:
            del self._states[producer_id]


def _check_new_epoch(producer_id: int, known_epoch: int, epoch: int, base_sequence: int) -> None:
    if epoch < known_epoch:
        raise ProducerFencedError(
            f"producer {producer_id} wrote with epoch {known_epoch}, so epoch {epoch} is fenced off"
        )
    if base_sequence:
        raise OutOfOrderSequenceError(
            f"the new epoch {epoch} of producer {producer_id} begins with sequence {base_sequence}, not 0"
        )


def _find_duplicate(
    batches: list[StoredBatch], producer_id: int, base_sequence: int, record_count: int
) -> Duplicate:
    """The sequence is not the next one: it was stored before, or something before it is missing."""
    last_sequence = (base_sequence + record_count - 1) & MAX_SEQUENCE
    for batch in batches:
        if batch.first_sequence == base_sequence and batch.last_sequence == last_sequence:
            return Duplicate(batch.base_offset, batch.next_offset, batch.append_time_ms)
    told = f"producer {producer_id} sent sequences {base_sequence} to {last_sequence}"
    if _is_behind(last_sequence, batches[0].first_sequence):
        raise DuplicateSequenceError(f"{told}, which were stored before the last {len(batches)} batches")
    raise OutOfOrderSequenceError(f"{told}, but {_after(batches[-1].last_sequence)} comes next")


def _after(sequence: int) -> int:
    return (sequence + 1) & MAX_SEQUENCE


def _is_behind(sequence: int, other: int) -> bool:
    """Sequences wrap, so of two the one that is less than half the circle away lies behind."""
    return 0 < (other - sequence) % _SEQUENCES < _SEQUENCES // 2
