"""Records with a length in front of each part, in and out: exact for any bytes. Pure.

A part is four bytes, its length as a signed big-endian number, and so many bytes; -1 is null, as in Kafka's
protocol. A record is its value or, keyed, its key and then its value.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import chain, repeat

from streamctl.records.format_string import Columns, Formatter
from streamctl.records.rows import Rows

NULL = -1
_LENGTH = struct.Struct(">i")
_NULL_PART = _LENGTH.pack(NULL)


class FramedRows:
    """A RowsReader. `max_bytes` is what one record may have, with the lengths of its parts.

    Behind a length that cannot be, nothing can be told apart any more, so no bad record is skipped.
    """

    noun = "record"

    def __init__(self, *, keyed: bool, max_bytes: int) -> None:
        self._parts = 2 if keyed else 1
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        self._needed_bytes = 1
        self._next = 1

    def feed(self, chunk: bytes) -> Rows:
        self._pieces.append(chunk)
        self._held_bytes += len(chunk)
        if self._held_bytes < self._needed_bytes:
            return Rows((), ())
        return self._cut(b"".join(self._pieces))

    def end(self) -> Rows:
        bad = [f"the input ends inside record {self._next}"] if self._held_bytes else ()
        return Rows((), (), bad=bad)

    def _cut(self, data: bytes) -> Rows:
        """All whole records of what is held; `start` is where the one begins that is not whole."""
        parts: list[bytes | None] = []
        start = position = 0
        bad = []
        while True:
            needed = position + _LENGTH.size
            if needed > len(data):
                break
            (length,) = _LENGTH.unpack_from(data, position)
            if length < NULL or needed + length - start > self._max_bytes:
                bad.append(self._complaint(len(parts) // self._parts, length))
                break
            needed += max(0, length)
            if needed > len(data):
                break
            parts.append(None if length == NULL else data[position + _LENGTH.size : needed])
            position = needed
            if len(parts) % self._parts == 0:
                start = position
        self._pieces, self._held_bytes, self._needed_bytes = [data[start:]], len(data) - start, needed - start
        return self._rows(parts, bad)

    def _rows(self, parts: Sequence[bytes | None], bad: Sequence[str]) -> Rows:
        count, first = len(parts) // self._parts, self._next
        self._next += count
        columns = [parts[part : count * self._parts : self._parts] for part in range(self._parts)]
        keys = columns[0] if self._parts == 2 else None
        return Rows(range(first, self._next), columns[-1], keys, bad=bad)

    def _complaint(self, whole: int, length: int) -> str:
        return (
            f"record {self._next + whole} says that it has {length} bytes, the most are {self._max_bytes}: "
            "is this a four-byte length in front of each record?"
        )


def framed(*, keyed: bool) -> Formatter:
    """Writes what FramedRows reads."""

    def write(batch: Columns) -> bytes:
        values = _framed(batch.values)
        if not keyed:
            return b"".join(chain.from_iterable(values))
        keys = repeat((_NULL_PART, b""), len(batch.values)) if batch.keys is None else _framed(batch.keys)
        return b"".join(chain.from_iterable(chain.from_iterable(zip(keys, values, strict=True))))

    return write


def _framed(column: Sequence[bytes | None]) -> Iterable[tuple[bytes, bytes]]:
    if None in column:
        return [(_NULL_PART, b"") if item is None else (_LENGTH.pack(len(item)), item) for item in column]
    return zip(map(_LENGTH.pack, map(len, column)), column, strict=True)  # type: ignore[arg-type]
