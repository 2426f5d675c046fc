"""From a batch in the log to columns of records, for whoever reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamkeep_common.errors import CorruptBatchError, CorruptDataError, InvalidBatchError
from streamkeep_common.limits import MAX_RECORDS_BYTES
from streamkeep_common.records.codecs import codec_of
from streamkeep_common.records.frame import LOG_APPEND_TIME, verify_batch
from streamkeep_common.records.payload import open_records
from streamkeep_proto.v1.records_pb2 import RecordBatch, Records


@dataclass(slots=True)
class RecordColumns:
    """The records of one batch; a record is the same index in each column."""

    base_offset: int
    leader_epoch: int
    values: list[bytes | None]
    """None is a tombstone, which is not the same as empty."""
    keys: list[bytes | None] | None
    """None if no record of the batch has a key."""
    offsets: Sequence[int]
    timestamps_ms: list[int]
    """Since 1970-01-01 UTC; all the same where the topic takes the time of appending."""
    headers: dict[int, list[tuple[str, bytes]]]
    """Of the records that have any, by index."""

    def __len__(self) -> int:
        return len(self.values)


def decode_batch(
    batch: RecordBatch, *, check: bool = True, max_bytes: int = MAX_RECORDS_BYTES
) -> RecordColumns:
    """The batch's records. `check=False` leaves out the checksums, for a frame that was verified before.

    `max_bytes` bounds the records after decompression. CorruptDataError, naming the offset, if anything about
    the batch is not as it was produced; UnknownCodecError and UnsupportedFeatureError for a batch that only a
    newer version can read.
    """
    payload = batch.records
    codec = codec_of(batch.attributes)
    try:
        if check:
            verify_batch(batch, payload)
        records = open_records(codec, payload, batch.record_count, max_bytes=max_bytes)
        offsets = _offsets(batch, records)
    except (CorruptBatchError, InvalidBatchError) as error:
        raise CorruptDataError(f"batch at offset {batch.base_offset}: {error.message}") from None
    return RecordColumns(
        batch.base_offset,
        batch.leader_epoch,
        _with_nulls(records.values, records.null_values),
        _with_nulls(records.keys, records.null_keys) if records.keys else None,
        offsets,
        _timestamps(batch, records),
        {entry.index: list(zip(entry.names, entry.values, strict=True)) for entry in records.headers},
    )


def _with_nulls(column: Sequence[bytes], nulls: Sequence[int]) -> list[bytes | None]:
    items: list[bytes | None] = list(column)
    for index in nulls:
        items[index] = None
    return items


def _timestamps(batch: RecordBatch, records: Records) -> list[int]:
    if batch.leader_flags & LOG_APPEND_TIME:
        return [batch.append_time_ms] * batch.record_count
    base_timestamp_ms = batch.base_timestamp_ms
    if not records.timestamp_deltas:
        return [base_timestamp_ms] * batch.record_count
    return [base_timestamp_ms + delta for delta in records.timestamp_deltas]


def _offsets(batch: RecordBatch, records: Records) -> Sequence[int]:
    """Dense as a producer made them, or what compaction has left, down to nothing."""
    base_offset, last_delta = batch.base_offset, batch.last_offset_delta
    deltas = list(records.offset_deltas)
    if not deltas:
        if not batch.record_count:
            return ()
        if last_delta != batch.record_count - 1:
            raise InvalidBatchError(f"{batch.record_count} records for {last_delta + 1} offsets")
        return range(base_offset, base_offset + batch.record_count)
    rising = all(map(int.__lt__, deltas, deltas[1:]))
    if len(deltas) != batch.record_count or not rising or deltas[-1] > last_delta:
        raise InvalidBatchError("the offsets do not rise one a record up to the batch's last")
    return [base_offset + delta for delta in deltas]
