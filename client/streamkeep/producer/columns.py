"""The columns of one `send_many`, cut into pieces that fit into batches without a look at each record.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from streamkeep.producer.arguments import (
    HeadersArgument,
    check_column,
    check_lengths,
    check_size,
    check_timestamp,
    header_pairs,
    headers_size,
    record_size,
)
from streamkeep.producer.batch import ENTRY_OVERHEAD_BYTES, Batch, Headers
from streamkeep.producer.delivery import Span
from streamkeep.producer.record import ProducerRecord

T = TypeVar("T")


class Columns:
    """Records of one call, all for the same partition or all without a key.

    `inputs` says which of the caller's records they are.
    """

    __slots__ = ("headers", "inputs", "keys", "timestamps_ms", "total_bytes", "values")

    def __init__(
        self,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None,
        headers: Mapping[int, Headers],
        timestamps_ms: Sequence[int] | int,
        inputs: Sequence[int],
    ) -> None:
        self.values = values
        self.keys = keys
        self.headers = headers
        self.timestamps_ms = timestamps_ms
        self.inputs = inputs
        self.total_bytes = self.size(0, len(values))

    def __len__(self) -> int:
        return len(self.values)

    def size(self, start: int, stop: int) -> int:
        """What these records take in a batch, in bytes."""
        size = _column_size(self.values[start:stop])
        if self.keys is not None:
            size += _column_size(self.keys[start:stop])
        if self.headers:
            size += sum(headers_size(self.headers[i]) for i in range(start, stop) if i in self.headers)
        return size

    def fit(self, start: int, room: int, most: int) -> tuple[int, int]:
        """How many records from `start` on, `most` of them, fit into `room` bytes, about, and what they take;
        perhaps none."""
        count = min(len(self) - start, room * len(self) // self.total_bytes, most)
        while count > 0:
            size = self.size(start, start + count)
            if size <= room:
                return count, size
            count = min(count - 1, count * room // size)
        return 0, 0

    def append_to(self, batch: Batch, start: int, count: int, size: int) -> Span:
        """Put `count` records from `start` on into an open batch with room for their `size` bytes."""
        stop = start + count
        timestamps_ms = self.timestamps_ms
        first = batch.extend(
            self.values[start:stop],
            None if self.keys is None else self.keys[start:stop],
            {i - start: self.headers[i] for i in self.headers if start <= i < stop} if self.headers else {},
            timestamps_ms if isinstance(timestamps_ms, int) else timestamps_ms[start:stop],
            size,
        )
        return Span(batch.receipt, first, self.inputs[start:stop])

    def by_partition(self, partition_of: Callable[[bytes], int]) -> list[tuple[int | None, Columns]]:
        """The records apart by their keys' partitions; None for those without a key.

        These may go to any partition, so they pass none that has a key, and are passed by none.
        """
        keys = self.keys
        if keys is None:
            return [(None, self)]
        numbers = [None if key is None else partition_of(key) for key in keys]
        return [(number, self._pick(found)) for number, found in apart(numbers)]

    def _pick(self, indexes: list[int]) -> Columns:
        """The records at these places."""
        if len(indexes) == len(self):
            return self
        timestamps_ms = self.timestamps_ms
        return Columns(
            _pick(self.values, indexes),
            None if self.keys is None else _pick(self.keys, indexes),
            {new: self.headers[old] for new, old in enumerate(indexes) if old in self.headers}
            if self.headers
            else {},
            timestamps_ms if isinstance(timestamps_ms, int) else _pick(timestamps_ms, indexes),
            _pick(self.inputs, indexes),
        )


def apart(numbers: Sequence[int | None]) -> list[tuple[int | None, list[int]]]:
    """The places of each partition in a column of partitions, in order.

    None is any partition: such records pass none that have one, and are passed by none.
    """
    everything: Sequence[int] = range(len(numbers))
    runs: Iterable[Iterable[int]] = (everything,)
    if None in numbers:
        runs = (run for _, run in groupby(everything, lambda index: numbers[index] is None))
    places: list[tuple[int | None, list[int]]] = []
    for run in runs:
        found: dict[int | None, list[int]] = {}
        for index in run:
            found.setdefault(numbers[index], []).append(index)
        places += found.items()
    return places


def checked_columns(
    values: Sequence[bytes | None],
    keys: Sequence[bytes | None] | None,
    headers: Sequence[HeadersArgument | None] | None,
    timestamps_ms: Sequence[int] | int,
    max_record_bytes: int,
    *,
    inputs: Sequence[int] | None = None,
) -> Columns:
    """The caller's columns; `inputs` as in `Columns`, by default all.

    Raises TypeError, ValueError or BatchTooLargeError if one of the records cannot be sent.
    """
    check_lengths(len(values), keys, headers, timestamps_ms)
    check_column("value", values)
    check_column("key", keys or ())
    for timestamp_ms in (timestamps_ms,) if isinstance(timestamps_ms, int) else timestamps_ms:
        check_timestamp(timestamp_ms)
    pairs = {i: header_pairs(given) for i, given in enumerate(headers or ()) if given}
    columns = Columns(values, keys, pairs, timestamps_ms, range(len(values)) if inputs is None else inputs)
    if columns.total_bytes > max_record_bytes:
        for index, value in enumerate(values):
            check_size(record_size(value, keys[index] if keys else None, pairs.get(index)), max_record_bytes)
    return columns


def columns_of(
    records: Sequence[ProducerRecord[bytes, bytes]],
    inputs: Sequence[int],
    now_ms: int,
    max_record_bytes: int,
) -> Columns:
    """Records of one topic as columns; `inputs` says which of the caller's they are. Raises the same."""
    return checked_columns(
        [record.value for record in records],
        [record.key for record in records] if any(record.key is not None for record in records) else None,
        [record.headers for record in records],
        [now_ms if record.timestamp_ms is None else record.timestamp_ms for record in records],
        max_record_bytes,
        inputs=inputs,
    )


def _column_size(column: Sequence[bytes | None]) -> int:
    return sum(map(len, filter(None, column))) + ENTRY_OVERHEAD_BYTES * len(column)


def _pick(column: Sequence[T], indexes: list[int]) -> Sequence[T]:
    return itemgetter(*indexes)(column) if len(indexes) > 1 else [column[indexes[0]]]
