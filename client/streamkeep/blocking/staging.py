"""Where records wait between the thread that sends them and the loop, and where threads wait for room.

Threads append, the loop takes everything at once. The loop is woken for the first record only: while there is
something to take it comes back by itself (see `Pump`).
"""

from __future__ import annotations

import asyncio
import threading
from typing import TypeVar

from streamkeep.blocking.delivery import Delivery
from streamkeep.blocking.handover import ColumnHandover, Columns, Handover, PlainHandover, Row, RowHandover
from streamkeep.blocking.portal import PORTAL
from streamkeep.producer.batch import ENTRY_OVERHEAD_BYTES
from streamkeep.producer.interceptors import Passage
from streamkeep_common.errors import BufferFullError, ClosedError
from streamkeep_common.limits import KIB

H = TypeVar("H", bound=Handover)

_ORDINARY_BYTES = 64 * KIB
_PLAIN: tuple[None, None, None, None] = (None, None, None, None)


class Staging:
    """Of one producer. At most `limit_bytes` wait in it, or one record that is larger."""

    def __init__(self, limit_bytes: int) -> None:
        self.wanted = asyncio.Event()
        """For the loop: there is something to take, or somebody waits for what was staged."""
        self.partitions: dict[str, int] = {}
        """How many each topic has that was used before, as last heard; without one that is gone."""
        self._limit_bytes = limit_bytes
        self._queue: list[Handover] = []
        self._plain: dict[str, PlainHandover] = {}
        self._rows: dict[str, RowHandover] = {}
        """By topic, the last of it in the queue, to which its next record is added; in one of the two."""
        self._staged_bytes = 0
        self._is_asleep = True
        self._closed = ""
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)

    # --- threads that send ---

    def add_plain(self, topic: str, value: bytes) -> Delivery | None:
        """The short way, for a record with nothing but a value. None where `add` has to look."""
        size = len(value) + ENTRY_OVERHEAD_BYTES
        with self._lock:
            handover = self._plain.get(topic)
            staged_bytes = self._staged_bytes + size
            if handover is None or staged_bytes > self._limit_bytes:
                return None
            self._staged_bytes = staged_bytes
            values = handover.values
            values.append(value)
            return Delivery(handover, len(values) - 1)

    def add_keyed(self, topic: str, value: bytes, key: bytes) -> Delivery | None:
        """The short way, for a record with a value and a key."""
        size = len(value) + len(key) + 2 * ENTRY_OVERHEAD_BYTES
        with self._lock:
            handover = self._rows.get(topic)
            staged_bytes = self._staged_bytes + size
            if handover is None or staged_bytes > self._limit_bytes:
                return None
            self._staged_bytes = staged_bytes
            rows = handover.rows
            rows.append((value, key, None, None, None))
            return Delivery(handover, len(rows) - 1)

    def add(
        self, topic: str, row: Row, size: int, *, waits: bool, passage: Passage | None = None
    ) -> Delivery:
        """A record of `size` bytes. Waits for room, or raises BufferFullError; ClosedError; RuntimeError
        where waiting would be for ever."""
        with self._lock:
            self.check_open()
            while self._staged_bytes and self._staged_bytes + size > self._limit_bytes:
                if not waits:
                    raise BufferFullError(f"{self._staged_bytes} bytes wait to be taken over")
                PORTAL.check_may_wait()
                PORTAL.post(self.wanted.set)
                self._room.wait()
                self.check_open()
            self._wake()
            self._staged_bytes += size
            handover, index = self._append(topic, row)
            if passage is not None:
                handover.passages.append((index, passage))
            return Delivery(handover, index)

    def add_columns(self, topic: str, columns: Columns) -> ColumnHandover:
        """What `send_many` was given, behind what is there. Does not wait for room."""
        return self._enqueue(ColumnHandover(topic, self.wanted, columns))

    def mark(self) -> Handover:
        """What comes to its turn behind all that is there."""
        return self._enqueue(Handover("", self.wanted))

    def has_room(self) -> bool:
        """For an ordinary record."""
        return self._staged_bytes + min(_ORDINARY_BYTES, self._limit_bytes) <= self._limit_bytes

    def _append(self, topic: str, row: Row) -> tuple[Handover, int]:
        if row[1:] == _PLAIN and topic not in self._rows:
            plain = self._plain.get(topic)
            if plain is None:
                plain = self._plain[topic] = self._queued(PlainHandover(topic, self.wanted))
            plain.values.append(row[0])
            return plain, len(plain.values) - 1
        self._plain.pop(topic, None)
        other = self._rows.get(topic)
        if other is None:
            other = self._rows[topic] = self._queued(RowHandover(topic, self.wanted))
        other.rows.append(row)
        return other, len(other.rows) - 1

    def _enqueue(self, handover: H) -> H:
        """Behind all that is there, and before all that comes."""
        with self._lock:
            self.check_open()
            self._wake()
            self._plain.pop(handover.topic, None)
            self._rows.pop(handover.topic, None)
            return self._queued(handover)

    def _queued(self, handover: H) -> H:
        self._queue.append(handover)
        return handover

    def _wake(self) -> None:
        """Woken too often does no harm, woken too seldom would: the order stands against Ctrl-C."""
        if self._is_asleep:
            PORTAL.post(self.wanted.set)
            self._is_asleep = False

    def check_open(self) -> None:
        """RuntimeError if there is no loop any more, ClosedError after `close`."""
        if PORTAL.lost:
            raise RuntimeError(PORTAL.lost)
        if self._closed:
            raise ClosedError(self._closed)

    @property
    def used_bytes(self) -> int:
        return self._staged_bytes

    # --- the loop ---

    @property
    def is_closed(self) -> bool:
        return bool(self._closed)

    def take(self) -> list[Handover]:
        """All that is there. Who finds nothing is woken when there is something again."""
        with self._lock:
            taken, self._queue = self._queue, []
            self._plain, self._rows = {}, {}
            self._staged_bytes = 0
            self._is_asleep = not taken
            self._room.notify_all()
        return taken

    def close(self, reason: str) -> None:
        """Nothing more is added, and nobody waits for room; what is there can still be taken."""
        with self._lock:
            self._closed = self._closed or reason
            self._plain, self._rows = {}, {}
            self._room.notify_all()

    def forget(self) -> None:
        """In the child of a fork: whoever held the lock is not there any more."""
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._plain, self._rows = {}, {}
