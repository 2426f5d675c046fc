"""The sequencer against a model of a broker that loses answers, changes leaders and refuses what it likes.

The promise: what is acknowledged is in the log once; nothing is there twice; all of it is in the order in
which it was produced. What was given up may be there or not.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from streamkeep.producer.batch import Batch
from streamkeep.producer.sequencer import Sequencer, Verdict
from streamkeep_common.records import Codec
from tests.unit.sdk.batches import closed_batch

WINDOW = 5


class Entry(NamedTuple):
    epoch: int
    first: int
    records: int
    values: tuple[int, ...]


@dataclass
class ModelBroker:
    """One partition's log. What was not answered yet may be lost when the leader changes."""

    entries: list[Entry] = field(default_factory=list)
    answered: int = 0

    def produce(self, epoch: int, first: int, values: tuple[int, ...]) -> str:
        last = self.entries[-1] if self.entries else None
        if last is not None and epoch < last.epoch:
            return "fenced"
        if last is None or epoch > last.epoch:
            if first != 0:
                return "unknown" if last is None else "out of order"
        else:
            for known in [entry for entry in self.entries if entry.epoch == epoch][-WINDOW:]:
                if (known.first, known.records) == (first, len(values)):
                    return "stored"
            if first < last.first:
                return "duplicate"
            if first != last.first + last.records:
                return "out of order"
        self.entries.append(Entry(epoch, first, len(values), values))
        return "stored"

    def note_answered(self) -> None:
        self.answered = len(self.entries)

    def lose_unanswered(self, rng: random.Random) -> None:
        del self.entries[rng.randint(self.answered, len(self.entries)) :]


class Request(NamedTuple):
    batch: Batch
    attempt: int
    epoch: int
    first: int
    values: tuple[int, ...]


class Model:
    """A producer, a stream and a broker; each step is one event."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.sequencer = Sequencer(self.rng.choice([1, 2, 5]))
        self.broker = ModelBroker()
        self.requests: deque[Request] = deque()
        self.answers: deque[tuple[Request, str]] = deque()
        self.values: dict[int, tuple[int, ...]] = {}
        self.produced = 0
        self.now_s = 0.0
        self.acknowledged: list[int] = []
        self.given_up: set[int] = set()
        self.events: Counter[str] = Counter()

    def step(self) -> None:
        names = ["produce", "send", "send", "serve", "serve", "serve", "answer", "answer", "answer"]
        rare = ["cut", "change_leader", "fail", "give_up", "refuse", "split"]
        name = self.rng.choice(rare) if self.rng.random() < 0.08 else self.rng.choice(names)
        getattr(self, name)()

    def heal(self) -> None:
        while self.sequencer.pending:
            self.send()
            self.serve()
            self.answer()

    def produce(self) -> None:
        self.now_s += 1
        count = self.rng.randint(1, 4)
        batch = closed_batch(*[b"x"] * count, opened_s=self.now_s)
        self.values[id(batch)] = tuple(range(self.produced, self.produced + count))
        self.produced += count
        self.sequencer.add(batch)

    def send(self) -> None:
        while (batch := self.sequencer.take_next()) is not None:
            assert batch.sequence is not None
            values = self.values[id(batch)]
            self.requests.append(Request(batch, self.sequencer.attempt, batch.epoch, batch.sequence, values))

    def serve(self) -> None:
        if self.requests:
            request = self.requests.popleft()
            outcome = self.broker.produce(request.epoch, request.first, request.values)
            self.answers.append((request, outcome))

    def answer(self) -> None:
        if not self.answers:
            return
        request, outcome = self.answers.popleft()
        self.events[outcome] += 1
        if outcome in ("stored", "duplicate"):
            self.broker.note_answered()
            if self.sequencer.acknowledge(request.batch, request.attempt):
                self.acknowledged += request.values
        elif outcome in ("out of order", "unknown"):
            verdict = self.sequencer.sequence_refused(request.batch, request.attempt)
            self.events[verdict.name] += 1
        elif self.sequencer.refuse(request.batch, request.attempt):
            raise AssertionError("the latest attempt was fenced")

    def cut(self) -> None:
        """The stream ends: some of what was sent is still served, no answer arrives."""
        for _ in range(self.rng.randint(0, len(self.requests))):
            self.serve()
        self.requests.clear()
        self.answers.clear()
        self.sequencer.recover()
        self.events["cut"] += 1

    def change_leader(self) -> None:
        self.cut()
        self.broker.lose_unanswered(self.rng)

    def fail(self) -> None:
        """A retriable error for the next request; those behind it arrive all the same."""
        if self.requests:
            request = self.requests.popleft()
            if request.attempt == self.sequencer.attempt:
                self.sequencer.recover()
                self.events["fail"] += 1

    def give_up(self) -> None:
        """The oldest are too old. What is still on its way is served or lost before the next attempt."""
        if not self.sequencer.pending:
            return
        pending = self.sequencer.pending
        oldest = pending[min(self.rng.randint(0, 2), len(pending) - 1)].opened_s
        self.cut()
        for batch in self.sequencer.expire(oldest):
            self.given_up.update(self.values[id(batch)])
            self.events["gap" if batch.sequence is not None else "never sent"] += 1

    def next_not_stored(self) -> Request | None:
        """The next request, if it is the latest attempt for something that the broker has not got."""
        if not self.requests or self.answers:
            return None
        request = self.requests[0]
        stored = {value for entry in self.broker.entries for value in entry.values}
        fresh = request.attempt == self.sequencer.attempt and not stored & set(request.values)
        return self.requests.popleft() if fresh else None

    def refuse(self) -> None:
        """The broker will never take the next request."""
        request = self.next_not_stored()
        if request is not None:
            assert self.sequencer.refuse(request.batch, request.attempt)
            self.given_up.update(request.values)
            self.events["refused"] += 1

    def split(self) -> None:
        """The next request is too large for the broker."""
        request = self.next_not_stored()
        if request is None:
            return
        if request.batch.record_count == 1:
            self.requests.appendleft(request)
            return
        request.batch.encode(Codec.NONE, 1)
        parts = request.batch.split()
        self.values[id(parts[0])] = request.values[: parts[0].record_count]
        self.values[id(parts[1])] = request.values[parts[0].record_count :]
        assert self.sequencer.replace(request.batch, parts, request.attempt)
        self.events["split"] += 1

    def check(self) -> None:
        log = [value for entry in self.broker.entries for value in entry.values]
        assert log == sorted(set(log)), "nothing twice, everything in order"
        assert len(self.acknowledged) == len(set(self.acknowledged))
        assert set(self.acknowledged) <= set(log), "acknowledged is stored"
        assert set(self.acknowledged) | self.given_up == set(range(self.produced)), (
            "every record has an outcome"
        )
        assert not set(self.acknowledged) & self.given_up


@pytest.mark.parametrize("block", range(8))
def test_every_record_is_stored_once_and_in_order_whatever_happens(block: int) -> None:
    events: Counter[str] = Counter()
    for seed in range(block * 25, block * 25 + 25):
        model = Model(seed)
        for _ in range(300):
            model.step()
        model.heal()
        model.check()
        events.update(model.events)
    wanted = ("stored", "out of order", "cut", "fail", "gap", "never sent", "refused", "split", "NEW_EPOCH")
    assert all(events[name] for name in wanted), f"some event never happened: {events}"
    assert not events[Verdict.RECORDS_MISSING.name], "nothing acknowledged was ever missing"
