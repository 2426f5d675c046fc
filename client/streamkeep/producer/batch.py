"""One batch through its life: filled as columns, closed, given a sequence, encoded, perhaps split.

Pure: whoever appends says what time it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamkeep.producer.delivery import Delivery, Receipt
from streamkeep_common.limits import MAX_SEQUENCE
from streamkeep_common.records import Codec, decode_batch, encode_batch, produced_values, records_crc
from streamkeep_proto.v1.records_pb2 import RecordBatch

Headers = Sequence[tuple[str, bytes]]

ENTRY_OVERHEAD_BYTES = 4
"""What a value or key takes in a batch beside its bytes: its tag and its length."""

_CLOSED = -1
_NOT_PLAIN = -1


class Batch:
    """Columns of records for one partition.

    While it is open, a record may be appended that takes at most `room - size` bytes. `plain_ms` is the
    timestamp that all records share as long as there are no columns but values. `due` says that it has
    lingered long enough. `sequence` is None until the batch may have reached a broker under one. `unrefused`
    is how often it was sent and no answer said that this did not store it: with 0 it is in no log. `was_sent`
    says that it was part of some request.
    """

    __slots__ = (
        "due",
        "encoded",
        "epoch",
        "first_index",
        "headers",
        "keys",
        "opened_s",
        "plain_ms",
        "receipt",
        "record_count",
        "reserved",
        "room",
        "sequence",
        "size",
        "timestamps_ms",
        "unrefused",
        "values",
        "was_sent",
    )

    def __init__(self, receipt: Receipt, opened_s: float) -> None:
        self.receipt = receipt
        self.first_index = 0
        self.opened_s = opened_s
        self.size = 0
        self.reserved = 0
        self.room = 0
        self.due = False
        self.record_count = 0
        self.plain_ms = receipt.timestamp_ms
        self.values: list[bytes | None] = []
        self.keys: list[bytes | None] | None = None
        self.timestamps_ms: list[int] | None = None
        self.headers: dict[int, Headers] | None = None
        self.epoch = 0
        self.sequence: int | None = None
        self.unrefused = 0
        self.was_sent = False
        self.encoded: RecordBatch | None = None

    # --- filling ---

    def append(
        self, value: bytes | None, key: bytes | None, headers: Headers | None, timestamp_ms: int, size: int
    ) -> Delivery:
        """One more record, of `size` bytes."""
        values = self.values
        index = len(values)
        if self.keys is not None:
            self.keys.append(key)
        elif key is not None:
            self._begin_keys().append(key)
        if self.timestamps_ms is not None:
            self.timestamps_ms.append(timestamp_ms)
        elif timestamp_ms != self.receipt.timestamp_ms:
            self._begin_timestamps().append(timestamp_ms)
        if headers:
            self._add_headers(index, headers)
        values.append(value)
        self.size += size
        return Delivery(self.receipt, index)

    def extend(
        self,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None,
        headers: Mapping[int, Headers],
        timestamps_ms: Sequence[int] | int,
        size: int,
    ) -> int:
        """As `append` for columns, with `headers` by index in them. Returns the index of the first record."""
        first = len(self.values)
        if keys is not None or self.keys is not None:
            (self.keys or self._begin_keys()).extend([None] * len(values) if keys is None else keys)
        if self.timestamps_ms is not None or timestamps_ms != self.receipt.timestamp_ms:
            column = [timestamps_ms] * len(values) if isinstance(timestamps_ms, int) else timestamps_ms
            (self.timestamps_ms or self._begin_timestamps()).extend(column)
        for index, pairs in headers.items():
            self._add_headers(first + index, pairs)
        self.values.extend(values)
        self.size += size
        return first

    def close(self) -> int:
        """Nothing more is appended. Returns the reserved bytes that are not needed."""
        self.room = _CLOSED
        self.record_count = len(self.values)
        unneeded, self.reserved = self.reserved - self.size, self.size
        return unneeded

    def _begin_keys(self) -> list[bytes | None]:
        """The column of keys, with none for the records so far."""
        self.plain_ms = _NOT_PLAIN
        self.keys = [None] * len(self.values)
        return self.keys

    def _begin_timestamps(self) -> list[int]:
        """The column of timestamps, with the common one for the records so far."""
        self.plain_ms = _NOT_PLAIN
        self.timestamps_ms = [self.receipt.timestamp_ms] * len(self.values)
        self.receipt.timestamps_ms = self.timestamps_ms
        return self.timestamps_ms

    def _add_headers(self, index: int, headers: Headers) -> None:
        if self.headers is None:
            self.headers = {}
        self.headers[index] = headers

    # --- sending ---

    def encode(self, codec: Codec, producer_id: int) -> RecordBatch:
        """The message under the batch's present epoch and sequence. BatchTooLargeError if it has no room."""
        assert self.sequence is not None, "a batch is encoded under its sequence"
        if self.encoded is None:
            self.encoded = encode_batch(
                values=self.values,
                keys=self.keys,
                timestamps_ms=self.receipt.timestamp_ms if self.timestamps_ms is None else self.timestamps_ms,
                headers=self.headers,
                codec=codec,
                producer_id=producer_id,
                producer_epoch=self.epoch,
                base_sequence=self.sequence,
            )
            self.values, self.keys, self.timestamps_ms, self.headers = [], None, None, None
        elif (self.encoded.producer_epoch, self.encoded.base_sequence) != (self.epoch, self.sequence):
            _restamp(self.encoded, self.epoch, self.sequence)
        return self.encoded

    def split(self) -> tuple[Batch, Batch]:
        """Two halves, in order, with the sequences that the whole had."""
        assert self.encoded is not None and self.record_count > 1, (
            "only a sent batch of several records is split"
        )
        columns = decode_batch(self.encoded, check=False)
        middle = self.record_count // 2
        halves = []
        for start, stop in ((0, middle), (middle, self.record_count)):
            half = Batch(self.receipt, self.opened_s)
            half.first_index = self.first_index + start
            half.values = list(columns.values[start:stop])
            half.keys = None if columns.keys is None else list(columns.keys[start:stop])
            half.timestamps_ms = list(columns.timestamps_ms[start:stop])
            half.headers = {i - start: columns.headers[i] for i in columns.headers if start <= i < stop}
            half.record_count = stop - start
            half.room = _CLOSED
            half.epoch, half.sequence = self.epoch, sequence_after(self.sequence, start)
            half.unrefused = self.unrefused
            half.was_sent = self.was_sent
            halves.append(half)
        halves[0].size = halves[0].reserved = self.size // 2
        halves[1].size = halves[1].reserved = self.size - halves[0].size
        return halves[0], halves[1]


def sequence_after(sequence: int | None, count: int) -> int | None:
    """The sequence `count` records later: 2147483647 is followed by 0."""
    return None if sequence is None else (sequence + count) & MAX_SEQUENCE


def _restamp(batch: RecordBatch, epoch: int, sequence: int) -> None:
    """The same records under another epoch and sequence; their checksum covers both."""
    batch.producer_epoch, batch.base_sequence = epoch, sequence
    batch.records_crc32c = records_crc(produced_values(batch), batch.records)
