"""What a history of records proves about a cluster, in the manner of `jepsen.tests.kafka`. Pure.

Every record has a value of its own. A history is what producers were told of the records that they sent, and
what consumers were handed, in the order in which it happened to each. Partitions are judged one by one:

lost                 acknowledged, and not there any more when the log was drained up to beyond it
unseen               acknowledged, and behind the end of what was drained
duplicate            one record at two offsets
inconsistent offset  two records at one offset: what was read there has changed, or two replicas differ
reordered            of one producer, a record behind one that was sent later
repeated, skipped    a reader was taken back, or past what somebody else has seen
unsent               handed out, and never sent to that partition
unrefused            handed out, though its producer was told that it is in no log

A record whose producer got no answer may be there or not. Retention and compaction must be off. At the end,
when nobody writes any more, one reader drains the log from its beginning.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

UNKNOWN = -2
"""In place of an offset: the producer was not told that the record is stored."""
REFUSED = -3
"""In place of an offset: the producer was told that the record is in no log."""
STORED = -1
"""In place of an offset: stored, and where is not known any more (a duplicate that was sent much later)."""


class Anomaly(Enum):
    """What must never be."""

    LOST = "lost"
    UNSEEN = "unseen"
    DUPLICATE = "duplicate"
    INCONSISTENT_OFFSET = "inconsistent offset"
    REORDERED = "reordered"
    REPEATED = "repeated"
    SKIPPED = "skipped"
    UNSENT = "unsent"
    UNREFUSED = "unrefused"


@dataclass(slots=True)
class Writing:
    """What one producer sent to one partition, in the order of sending, and what it was told.

    Times are seconds since the run began; `told_s` 0 = nothing was told.
    """

    who: str
    partition: int
    values: array[int] = field(default_factory=lambda: array("q"))
    offsets: array[int] = field(default_factory=lambda: array("q"))
    sent_s: array[float] = field(default_factory=lambda: array("d"))
    told_s: array[float] = field(default_factory=lambda: array("d"))

    def send(self, value: int, now_s: float) -> int:
        """Note that it is being sent; the index by which to tell its outcome."""
        self.values.append(value)
        self.offsets.append(UNKNOWN)
        self.sent_s.append(now_s)
        self.told_s.append(0.0)
        return len(self.values) - 1

    def acknowledge(self, index: int, offset: int, now_s: float) -> None:
        """It was acknowledged; offset -1 if the broker no longer knows where it is."""
        self.offsets[index] = offset
        self.told_s[index] = now_s

    def refuse(self, index: int, now_s: float) -> None:
        """It was refused for good: it is in no log."""
        self.acknowledge(index, REFUSED, now_s)

    def is_acknowledged(self, index: int) -> bool:
        return self.offsets[index] >= STORED

    def described(self, index: int) -> str:
        told = "nothing was told"
        if self.offsets[index] == REFUSED:
            told = f"refused at {self.told_s[index]:.3f} s"
        elif self.is_acknowledged(index):
            where = f" at {self.offsets[index]}" if self.offsets[index] != STORED else ""
            told = f"acknowledged{where} at {self.told_s[index]:.3f} s"
        return f"{self.values[index]} of {self.who}, sent at {self.sent_s[index]:.3f} s, {told}"


@dataclass(slots=True)
class Reading:
    """What one consumer was handed of one partition, from its assignment on."""

    who: str
    partition: int
    drains: bool = False
    """It read everything, after the last write."""
    offsets: array[int] = field(default_factory=lambda: array("q"))
    values: array[int] = field(default_factory=lambda: array("q"))

    def read(self, offsets: Sequence[int], values: Sequence[int]) -> None:
        self.offsets.extend(offsets)
        self.values.extend(values)


@dataclass(frozen=True, slots=True)
class Finding:
    """One anomaly, with the evidence."""

    anomaly: Anomaly
    partition: int
    evidence: str

    def __str__(self) -> str:
        return f"{self.anomaly.value}: partition {self.partition}: {self.evidence}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found, and in how many records."""

    findings: Sequence[Finding]
    sent: int
    acknowledged: int
    read: int

    @property
    def counts(self) -> Counter[Anomaly]:
        return Counter(finding.anomaly for finding in self.findings)


def judge(writings: Iterable[Writing], readings: Iterable[Reading]) -> Verdict:
    """All findings, partition by partition."""
    partitions: dict[int, _Partition] = {}
    for writing in writings:
        partitions.setdefault(writing.partition, _Partition(writing.partition)).writings.append(writing)
    for reading in readings:
        partitions.setdefault(reading.partition, _Partition(reading.partition)).readings.append(reading)
    findings = [finding for _, each in sorted(partitions.items()) for finding in each.findings()]
    all_writings = [writing for each in partitions.values() for writing in each.writings]
    return Verdict(
        findings,
        sent=sum(len(writing.values) for writing in all_writings),
        acknowledged=sum(offset >= STORED for writing in all_writings for offset in writing.offsets),
        read=sum(len(reading.offsets) for each in partitions.values() for reading in each.readings),
    )


class _Partition:
    """One partition's part of the history, and what follows from it."""

    def __init__(self, number: int) -> None:
        self.writings: list[Writing] = []
        self.readings: list[Reading] = []
        self._number = number
        self._at: dict[int, tuple[int, str]] = {}
        """By offset the record there, and who says so."""
        self._where: dict[int, int] = {}
        """By record its offset."""

    def findings(self) -> Iterator[Finding]:
        for anomaly, evidence in self._all():
            yield Finding(anomaly, self._number, evidence)

    def _all(self) -> Iterator[tuple[Anomaly, str]]:
        for offset, value, who in self._claims():
            yield from self._place(offset, value, who)
        yield from self._unsent()
        drained = {
            offset: value
            for reading in self.readings
            if reading.drains
            for offset, value in zip(reading.offsets, reading.values, strict=True)
        }
        for writing in self.writings:
            yield from _missing(writing, drained)
            yield from self._reordered(writing)
            yield from self._unrefused(writing)
        known = sorted(self._at)
        for reading in self.readings:
            yield from self._unsteady(reading, known)

    def _claims(self) -> Iterator[tuple[int, int, str]]:
        """Everything that was said about what stands where."""
        for reading in self.readings:
            for offset, value in zip(reading.offsets, reading.values, strict=True):
                yield offset, value, reading.who
        for writing in self.writings:
            for offset, value in zip(writing.offsets, writing.values, strict=True):
                if offset >= 0:
                    yield offset, value, f"{writing.who}'s acknowledgement"

    def _place(self, offset: int, value: int, who: str) -> Iterator[tuple[Anomaly, str]]:
        there, said_by = self._at.setdefault(offset, (value, who))
        if there != value:
            evidence = f"at offset {offset} is {value}, says {who}; {there}, says {said_by}"
            yield Anomaly.INCONSISTENT_OFFSET, evidence
        first = self._where.setdefault(value, offset)
        if first != offset:
            yield Anomaly.DUPLICATE, f"{value} is at offset {first}, and at {offset}, says {who}"

    def _unsent(self) -> Iterator[tuple[Anomaly, str]]:
        sent = {value for writing in self.writings for value in writing.values}
        for offset, (value, who) in self._at.items():
            if value not in sent:
                yield Anomaly.UNSENT, f"{value} at offset {offset}, says {who}; nobody sent it here"

    def _reordered(self, writing: Writing) -> Iterator[tuple[Anomaly, str]]:
        highest, before = -1, -1
        for index, value in enumerate(writing.values):
            offset = self._where.get(value)
            if offset is None:
                continue
            if offset < highest:
                evidence = f"{writing.described(index)}, is at offset {offset}, and at {highest} is"
                yield Anomaly.REORDERED, f"{evidence} {writing.described(before)}"
            else:
                highest, before = offset, index

    def _unrefused(self, writing: Writing) -> Iterator[tuple[Anomaly, str]]:
        for index, (value, offset) in enumerate(zip(writing.values, writing.offsets, strict=True)):
            if offset == REFUSED and value in self._where:
                yield Anomaly.UNREFUSED, f"{writing.described(index)}, is at offset {self._where[value]}"

    def _unsteady(self, reading: Reading, known: Sequence[int]) -> Iterator[tuple[Anomaly, str]]:
        """Offsets have to follow each other without a gap where anybody knows of a record."""
        previous: int | None = None
        for offset in reading.offsets:
            if previous is not None and offset <= previous:
                yield Anomaly.REPEATED, f"{reading.who} was handed offset {offset} after {previous}"
            elif previous is not None and offset > previous + 1:
                skipped = known[bisect_left(known, previous + 1) : bisect_left(known, offset)]
                if skipped:
                    value, said_by = self._at[skipped[0]]
                    evidence = f"{reading.who} was handed offset {offset} after {previous}"
                    yield Anomaly.SKIPPED, f"{evidence}; between, {said_by} knows of {value} at {skipped[0]}"
            previous = offset


def _missing(writing: Writing, drained: Mapping[int, int]) -> Iterator[tuple[Anomaly, str]]:
    """What was acknowledged and is not among what was drained, by offset."""
    there, end = set(drained.values()), max(drained, default=-1) + 1
    last_there = max((index for index, value in enumerate(writing.values) if value in there), default=-1)
    for index, (value, offset) in enumerate(zip(writing.values, writing.offsets, strict=True)):
        if not writing.is_acknowledged(index) or value in there:
            continue
        if 0 <= offset < end or (offset == STORED and index < last_there):
            instead = f"; there is {drained[offset]} now" if offset in drained else ""
            yield Anomaly.LOST, f"{writing.described(index)}; drained up to offset {end}{instead}"
        else:
            yield Anomaly.UNSEEN, f"{writing.described(index)}; the last offset drained is {end - 1}"
