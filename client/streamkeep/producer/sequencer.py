"""Exactly once and in order: the idempotent producer's rules for one partition (KIP-98, KIP-360).

Pure: batches and answers in, batches to send out. The broker accepts only the sequence that follows the
last, remembers the last five batches to answer duplicates, and starts anew with a higher epoch at sequence 0.

    flowing      up to `max_in_flight` batches are on their way, in order.
    recovering   what became of those is not known (an error, a lost stream, another leader): the oldest is
                 sent again under its old sequence, alone, until it is acknowledged.
    gap          a batch before the oldest one was given up, so the broker may miss a sequence. Batches that
                 may have been stored are asked about first, under their old sequences: stored ones are
                 acknowledged as duplicates. Once the broker says that one is missing, or only batches are
                 left that were never sent, the epoch is raised and they are numbered from 0.

Without that question a batch that was stored, but not acknowledged before its elder was given up, would be
stored a second time under the new epoch. Epochs are counted per partition: brokers compare them nowhere else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import Enum, auto

from streamkeep.producer.batch import Batch, sequence_after


class Verdict(Enum):
    """What an answer about a sequence meant."""

    STALE = auto()
    """The question was given up since; the answer changes nothing."""
    RETRY = auto()
    """Batches were put back, to be sent again."""
    NEW_EPOCH = auto()
    """The epoch was raised; batches were put back and will be numbered from 0."""
    RECORDS_MISSING = auto()
    """As NEW_EPOCH, but no batch had been given up: the broker lost records that it had acknowledged."""


class Sequencer:
    """The closed batches of one partition, oldest first, and which of them are on their way."""

    __slots__ = (
        "_gap",
        "_max_in_flight",
        "_next_sequence",
        "_recovering",
        "attempt",
        "epoch",
        "in_flight",
        "pending",
    )

    def __init__(self, max_in_flight: int) -> None:
        self.pending: deque[Batch] = deque()
        self.epoch = 0
        self.in_flight = 0
        """The first so many of `pending` are on their way."""
        self.attempt = 0
        """Answers to an earlier attempt are stale."""
        self._max_in_flight = max_in_flight
        self._next_sequence = 0
        self._recovering = False
        self._gap = False

    def add(self, batch: Batch) -> None:
        self.pending.append(batch)

    def has_next(self) -> bool:
        """`take_next` would give a batch."""
        return self.in_flight < min(self._window(), len(self.pending))

    def has_room(self) -> bool:
        """No batch waits, and one more could be sent at once."""
        return self.in_flight == len(self.pending) < self._window()

    def take_next(self) -> Batch | None:
        """The next batch to send, under its epoch and sequence; it is on its way from now on."""
        if not self.has_next():
            return None
        batch = self.pending[self.in_flight]
        if batch.sequence is None:
            if self._gap:
                self._raise_epoch()
            batch.epoch, batch.sequence = self.epoch, self._next_sequence
            following = sequence_after(self._next_sequence, batch.record_count)
            assert following is not None
            self._next_sequence = following
        self.in_flight += 1
        batch.unrefused += 1
        return batch

    def acknowledge(self, batch: Batch, attempt: int) -> bool:
        """The batch is stored. False if the answer is stale."""
        if attempt != self.attempt:
            return False
        self.pending.remove(batch)  # the oldest, unless the broker breaks the order
        self.in_flight -= 1
        self._recovering = self._gap = False
        return True

    def refuse(self, batch: Batch, attempt: int) -> bool:
        """The broker will never take the batch. False if the answer is stale."""
        if attempt != self.attempt:
            return False
        self._give_up(1 + self.pending.index(batch))
        return True

    def replace(self, batch: Batch, parts: Iterable[Batch], attempt: int) -> bool:
        """Go on with parts of a batch, which keep its sequences. False if the answer is stale."""
        if attempt != self.attempt:
            return False
        at = self.pending.index(batch)
        del self.pending[at]
        for part in reversed(list(parts)):
            self.pending.insert(at, part)
        self.recover()
        return True

    def sequence_refused(self, batch: Batch, attempt: int) -> Verdict:
        """OUT_OF_ORDER_SEQUENCE or UNKNOWN_PRODUCER: it is not stored, and a batch before it is missing."""
        if attempt != self.attempt:
            return Verdict.STALE
        if batch is not self.pending[0]:
            self.recover()
            return Verdict.RETRY
        verdict = Verdict.NEW_EPOCH if self._gap or batch.sequence == 0 else Verdict.RECORDS_MISSING
        self._raise_epoch()
        return verdict

    def recover(self) -> None:
        """Nothing is known of what was on its way: it will be sent again, oldest first and alone."""
        self.attempt += 1
        self.in_flight = 0
        self._recovering = bool(self.pending) and self.pending[0].sequence is not None

    def expire(self, opened_before_s: float) -> list[Batch]:
        """Give up the batches opened up to that moment, oldest first; those sent may yet be stored."""
        expired = 0
        for batch in self.pending:
            if batch.opened_s > opened_before_s:
                break
            expired += 1
        return self._give_up(expired)

    def _give_up(self, count: int) -> list[Batch]:
        given_up = [self.pending.popleft() for _ in range(count)]
        if any(batch.sequence is not None for batch in given_up):
            self._gap = True
            self.recover()
        return given_up

    def _window(self) -> int:
        """How many batches may be on their way now."""
        asking = self._gap and bool(self.pending) and self.pending[0].sequence is not None
        return 1 if self._recovering or asking else self._max_in_flight

    def _raise_epoch(self) -> None:
        self.epoch += 1
        self._next_sequence = 0
        self._gap = False
        for batch in self.pending:
            batch.sequence = None
        self.recover()
