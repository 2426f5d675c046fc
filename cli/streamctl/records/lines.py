"""Lines of input as records: chunks of bytes in, columns out. Pure.

A line ends with a newline, which is not part of the record; the last one may lack it. Every line that is
held whole is bounded, whatever comes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streamkeep_common.limits import MAX_BATCH_BYTES


class LineTooLongError(ValueError):
    """A line is larger than any batch may be; the message has its number."""


class LineColumns(NamedTuple):
    """Records by column; `keys` is None when there is no key separator."""

    keys: list[bytes | None] | None
    values: list[bytes]


class LineReader:
    """Cuts a stream of chunks into lines."""

    def __init__(self, *, max_bytes: int = MAX_BATCH_BYTES) -> None:
        self._max_bytes = max_bytes
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._lines = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes. Raises LineTooLongError."""
        first, *more = chunk.split(b"\n")
        self._rest.append(first)
        self._rest_bytes += len(first)
        self._check(self._rest_bytes, self._lines + 1)
        if not more:
            return []
        lines = [b"".join(self._rest), *more]
        self._rest = [lines.pop()]
        self._rest_bytes = len(self._rest[0])
        if len(chunk) > self._max_bytes:
            for number, line in enumerate(lines, self._lines + 1):
                self._check(len(line), number)
        self._lines += len(lines)
        return lines

    def end(self) -> list[bytes]:
        """The last line if it lacks its newline."""
        rest, self._rest, self._rest_bytes = b"".join(self._rest), [], 0
        return [rest] if rest else []

    def _check(self, size: int, number: int) -> None:
        if size > self._max_bytes:
            raise LineTooLongError(
                f"line {number} is longer than {self._max_bytes} bytes, the most that a batch can hold:"
                " break the input into smaller lines"
            )


def split_keys(lines: Sequence[bytes], separator: bytes | None) -> LineColumns:
    """Key and value of each line, cut at the first separator; one without it has a null key, as in kcat."""
    if separator is None:
        return LineColumns(None, list(lines))
    parts = [line.partition(separator) for line in lines]
    keys = [key if found else None for key, found, _ in parts]
    return LineColumns(keys, [value if found else key for key, found, value in parts])
