"""Lines of input as records: chunks of bytes in, columns out. Pure.

A line ends with a newline, which is not part of the record; the last one may lack it. Every line that is
held whole is bounded, whatever comes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streamctl.records.rows import Rows
from streamkeep.producer.batch import ENTRY_OVERHEAD_BYTES


class Lines(NamedTuple):
    """Whole lines that follow each other. `too_long`: what is wrong with the line before them."""

    first: int
    """Number of the first, from 1."""
    lines: list[bytes]
    too_long: str | None = None


class LineColumns(NamedTuple):
    """Records by column; `keys` is None when there is no key separator."""

    keys: list[bytes | None] | None
    values: list[bytes]


class LineReader:
    """Cuts a stream of chunks into lines.

    A line that is too long is told of as soon as it is, and then passed over without being held.
    """

    def __init__(self, max_bytes: int, *, reason: str) -> None:
        self._max_bytes = max_bytes
        self._reason = reason
        self._next = 1
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._passing_over = False

    def feed(self, chunk: bytes) -> Lines:
        """The lines that `chunk` completes. It must not be larger than a line may be."""
        assert len(chunk) <= self._max_bytes, "of the lines in a chunk only the first can be too long"
        lines = chunk.split(b"\n")
        too_long = self._hold(lines[0])
        if len(lines) == 1:
            return Lines(self._next, [], too_long)
        rest = lines.pop()
        if self._passing_over:
            del lines[0]
            self._next += 1
        else:
            lines[0] = b"".join(self._rest)
        first = self._next
        self._next += len(lines)
        self._rest, self._rest_bytes, self._passing_over = [rest], len(rest), False
        return Lines(first, lines, too_long)

    def end(self) -> Lines:
        """The last line if it lacks its newline."""
        rest, self._rest, self._rest_bytes = b"".join(self._rest), [], 0
        return Lines(self._next, [rest] if rest else [])

    def _hold(self, piece: bytes) -> str | None:
        """Keep a piece of the line that is not whole yet. Says so when that has become too long."""
        if self._passing_over:
            return None
        self._rest.append(piece)
        self._rest_bytes += len(piece)
        if self._rest_bytes <= self._max_bytes:
            return None
        self._rest, self._passing_over = [], True
        return f"line {self._next} is longer than {self._max_bytes} bytes, {self._reason}"


class LineRows:
    """Each line is a value or, with a separator, a key and a value; a RowsReader.

    `max_record_bytes` is what a record may take in a batch, more than a chunk has.
    """

    noun = "line"

    def __init__(self, *, separator: bytes | None, max_record_bytes: int, skip_bad: bool = False) -> None:
        self._separator = separator
        self._skip_bad = skip_bad
        max_bytes = max_record_bytes - 2 * ENTRY_OVERHEAD_BYTES
        self._reader = LineReader(max_bytes, reason="the most that a record can have")

    def feed(self, chunk: bytes) -> Rows:
        return self._rows(self._reader.feed(chunk))

    def end(self) -> Rows:
        return self._rows(self._reader.end())

    def _rows(self, found: Lines) -> Rows:
        lines = found.lines
        bad = () if found.too_long is None else (found.too_long,)
        if bad and not self._skip_bad:
            lines = []
        columns = split_keys(lines, self._separator)
        numbers = range(found.first, found.first + len(lines))
        return Rows(numbers, columns.values, columns.keys, bad=bad)


def split_keys(lines: Sequence[bytes], separator: bytes | None) -> LineColumns:
    """Key and value of each line, cut at the first separator; one without it has a null key, as in kcat."""
    if separator is None:
        return LineColumns(None, list(lines))
    parts = [line.partition(separator) for line in lines]
    keys = [key if found else None for key, found, _ in parts]
    return LineColumns(keys, [value if found else key for key, found, value in parts])
