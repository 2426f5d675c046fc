"""What writers were told and what readers saw, by the rules of `jepsen.tests.kafka`. Pure.

  CONSISTENT    an offset holds one record, whoever reads it and whenever
  ONCE          a record is at one offset
  IN_ORDER      the records of a writer stand in the order in which they were given
  NO_GAP        a reader sees every offset; only a log start that has passed it makes it jump
  NOT_LOST      what was acknowledged is read, or was deleted by retention

Records are unique: writer, partition and number. Where a loss was declared, offsets and their records are not
judged any more.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from tests.sim.violation import require

CONSISTENT = "a consumed offset never changes"
ONCE = "a record is stored once"
IN_ORDER = "a writer's records stand in order"
NO_GAP = "a reader skips nothing"
NOT_LOST = "no acknowledged record is lost"
UNKNOWN_OFFSET = -1


class Sent(NamedTuple):
    """One record: who wrote it, and its number among those of this writer in this partition, from 0."""

    writer: str
    number: int

    def encode(self, size: int) -> bytes:
        """As a record's value, filled up to a size in bytes."""
        return f"{self.writer} {self.number} ".encode().ljust(size, b".")

    @classmethod
    def decode(cls, value: bytes | None) -> Sent:
        assert value is not None
        writer, number, _ = value.split(b" ", 2)
        return cls(writer.decode(), int(number))


class PartitionLedger:
    """Of one partition."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.log_start = 0
        """The greatest that is known."""
        self.read_count = 0
        self.acknowledged: dict[Sent, int] = {}
        self._seen: set[Sent] = set()
        self._records: dict[int, Sent] = {}
        self._offsets: dict[Sent, int] = {}
        self._orders: dict[str, list[tuple[int, int]]] = {}
        """By writer: numbers with their offsets, both rising."""
        self._positions: dict[str, int] = {}
        self._lost: list[tuple[int, int]] = []

    def acknowledge(self, sent: Sent, offset: int) -> None:
        """The writer was told that it is stored, there (-1 = somewhere)."""
        self.acknowledged[sent] = offset
        if offset != UNKNOWN_OFFSET:
            self._place(offset, sent)

    def read(self, reader: str, offset: int, sent: Sent) -> None:
        """A reader was handed a record."""
        expected = self._positions.get(reader, 0)
        self._positions[reader] = offset + 1
        if offset != expected and not self._lost:
            require(
                expected < offset <= self.log_start,
                NO_GAP,
                f"{reader} reads {self.name} at {offset} instead of {expected}, log start {self.log_start}",
            )
        self.read_count += 1
        self._seen.add(sent)
        self._place(offset, sent)

    def start_over(self, reader: str, offset: int) -> None:
        """The reader asked to go there."""
        self._positions[reader] = offset

    def position(self, reader: str) -> int:
        """The offset after the last that the reader was handed."""
        return self._positions.get(reader, 0)

    def lose(self, from_offset: int, to_offset: int) -> None:
        """A loss was declared: nothing is known of these offsets any more."""
        self._lost.append((from_offset, to_offset))
        for offset in [each for each in self._records if each >= from_offset]:
            sent = self._records.pop(offset)
            del self._offsets[sent]
            order = self._orders[sent.writer]
            order.remove((sent.number, offset))

    def settle(self) -> None:
        """Everybody has read everything: what was acknowledged must have been among it."""
        for sent, offset in self.acknowledged.items():
            if sent not in self._seen and not self._may_be_gone(sent, offset):
                require(
                    False, NOT_LOST, f"{sent} was acknowledged at {self.name} {offset}: nobody has read it"
                )

    def _may_be_gone(self, sent: Sent, offset: int) -> bool:
        if any(begin <= offset < end for begin, end in self._lost):
            return True
        if offset == UNKNOWN_OFFSET:
            order = self._orders.get(sent.writer, [])
            before = bisect_left(order, (sent.number, 0))
            previous = order[before - 1][1] if before else -1
            return previous + 1 < self.log_start or bool(self._lost)
        return offset < self.log_start

    def _place(self, offset: int, sent: Sent) -> None:
        if any(begin <= offset < end for begin, end in self._lost):
            return
        known = self._records.setdefault(offset, sent)
        require(known == sent, CONSISTENT, f"{self.name} has {known} and {sent} at offset {offset}")
        at = self._offsets.setdefault(sent, offset)
        require(at == offset, ONCE, f"{sent} stands in {self.name} at {at} and at {offset}")
        self._put_in_order(offset, sent)

    def _put_in_order(self, offset: int, sent: Sent) -> None:
        order = self._orders.setdefault(sent.writer, [])
        place = bisect_left(order, (sent.number, offset))
        if place < len(order) and order[place] == (sent.number, offset):
            return
        is_behind = place == 0 or order[place - 1][1] < offset
        is_before = place == len(order) or offset < order[place][1]
        near = order[max(0, place - 1) : place + 1]
        require(
            is_behind and is_before, IN_ORDER, f"{sent} stands in {self.name} at {offset}, others: {near}"
        )
        order.insert(place, (sent.number, offset))
