"""From columns of records to a batch that a producer may send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamkeep_common.errors import BatchTooLargeError
from streamkeep_common.limits import (
    KIB,
    MAX_BATCH_BYTES,
    MAX_HEADERS_PER_BATCH,
    MAX_HEADERS_PER_RECORD,
    MAX_RECORDS_BYTES,
    MAX_RECORDS_PER_BATCH,
    MAX_TIMESTAMP_MS,
)
from streamkeep_common.records.codecs import Codec, compress
from streamkeep_common.records.frame import FRAME_HEADER_BYTES, produced_values, records_crc
from streamkeep_proto.v1.records_pb2 import RecordBatch, RecordHeaders, Records

Headers = Sequence[tuple[str, bytes]]

# A column is serialized in pieces: a repeated field may be concatenated, and a buffer that stays below the
# allocator's threshold for fresh pages (128 KiB) makes the whole four times as fast.
_PIECE_BYTES = 64 * KIB
_ENTRY_OVERHEAD_BYTES = 4


def encode_batch(
    *,
    values: Sequence[bytes | None],
    keys: Sequence[bytes | None] | None = None,
    timestamps_ms: Sequence[int] | int,
    headers: Mapping[int, Headers] | None = None,
    codec: Codec = Codec.NONE,
    producer_id: int,
    producer_epoch: int,
    base_sequence: int,
) -> RecordBatch:
    """A batch with its checksum; what the leader stamps is left zero.

    `keys` and a list of `timestamps_ms` have one item a record; one number stands for all. `headers` holds
    those of the records that have any, by index. ValueError if the columns do not agree or a limit on their
    items is passed, TypeError for an item that is not bytes, BatchTooLargeError if the result has no room.
    """
    count = len(values)
    _check_columns(count, keys, timestamps_ms, headers)
    base_timestamp_ms, max_timestamp_ms, deltas = _split_timestamps(timestamps_ms)
    payload = compress(codec, _serialize(values, keys, deltas, headers))
    if FRAME_HEADER_BYTES + len(payload) > MAX_BATCH_BYTES:
        raise BatchTooLargeError(f"the batch takes {len(payload)} bytes of at most {MAX_BATCH_BYTES}")
    batch = RecordBatch(
        attributes=codec,
        last_offset_delta=count - 1,
        record_count=count,
        base_timestamp_ms=base_timestamp_ms,
        max_timestamp_ms=max_timestamp_ms,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        records=payload,
    )
    batch.records_crc32c = records_crc(produced_values(batch), payload)
    return batch


def _check_columns(
    count: int,
    keys: Sequence[bytes | None] | None,
    timestamps_ms: Sequence[int] | int,
    headers: Mapping[int, Headers] | None,
) -> None:
    if not 1 <= count <= MAX_RECORDS_PER_BATCH:
        raise ValueError(f"a batch has 1 to {MAX_RECORDS_PER_BATCH} records, not {count}")
    if keys is not None and len(keys) != count:
        raise ValueError(f"{len(keys)} keys for {count} values")
    if not isinstance(timestamps_ms, int) and len(timestamps_ms) != count:
        raise ValueError(f"{len(timestamps_ms)} timestamps for {count} values")
    if headers:
        _check_headers(headers, count)


def _check_headers(headers: Mapping[int, Headers], count: int) -> None:
    total = sum(map(len, headers.values()))
    if total > MAX_HEADERS_PER_BATCH:
        raise ValueError(f"a batch has at most {MAX_HEADERS_PER_BATCH} headers, not {total}")
    for index, pairs in headers.items():
        if not 0 <= index < count:
            raise ValueError(f"headers for record {index} of {count}")
        if len(pairs) > MAX_HEADERS_PER_RECORD:
            raise ValueError(f"a record has at most {MAX_HEADERS_PER_RECORD} headers, not {len(pairs)}")


def _split_timestamps(timestamps_ms: Sequence[int] | int) -> tuple[int, int, list[int]]:
    """Base, greatest, and differences from the base; no differences if all are equal."""
    if isinstance(timestamps_ms, int):
        base = lowest = highest = timestamps_ms
    else:
        base, lowest, highest = timestamps_ms[0], min(timestamps_ms), max(timestamps_ms)
    if lowest < 0 or highest > MAX_TIMESTAMP_MS:
        raise ValueError(
            f"a timestamp is 0 to {MAX_TIMESTAMP_MS} ms, not {lowest if lowest < 0 else highest}"
        )
    if lowest == highest or isinstance(timestamps_ms, int):
        return base, highest, []
    return base, highest, [timestamp - base for timestamp in timestamps_ms]


def _serialize(
    values: Sequence[bytes | None],
    keys: Sequence[bytes | None] | None,
    deltas: list[int],
    headers: Mapping[int, Headers] | None,
) -> bytes:
    key_pieces, null_keys = _serialize_column("keys", keys) if keys is not None else ([], [])
    if len(null_keys) == len(values):
        key_pieces, null_keys = [], []
    value_pieces, null_values = _serialize_column("values", values)
    pieces = [*key_pieces, *value_pieces]
    if deltas or null_keys or null_values or headers:
        rest = Records(
            timestamp_deltas=deltas,
            null_keys=null_keys,
            null_values=null_values,
            headers=_headers_column(headers) if headers else (),
        )
        pieces.append(rest.SerializeToString())
    size = sum(map(len, pieces))
    if size > MAX_RECORDS_BYTES:
        raise BatchTooLargeError(
            f"the records take {size} bytes of at most {MAX_RECORDS_BYTES} before compression"
        )
    return b"".join(pieces)


def _serialize_column(name: str, column: Sequence[bytes | None]) -> tuple[list[bytes], list[int]]:
    """The column's pieces and the indexes of its nulls, whose places hold empty bytes."""
    try:
        # Looking for nulls costs as much as serializing; protobuf refuses them anyway.
        return _serialize_pieces(name, column), []
    except TypeError:
        nulls = [index for index, item in enumerate(column) if item is None]
        if not nulls:
            raise
        return _serialize_pieces(name, [b"" if item is None else item for item in column]), nulls


def _serialize_pieces(name: str, column: Sequence[bytes | None]) -> list[bytes]:
    # The first item stands for all: only speed depends on it.
    step = max(1, _PIECE_BYTES // (len(column[0] or b"") + _ENTRY_OVERHEAD_BYTES))
    return [
        Records(**{name: column[start : start + step]}).SerializeToString()  # type: ignore[arg-type]
        for start in range(0, len(column), step)
    ]


def _headers_column(headers: Mapping[int, Headers]) -> list[RecordHeaders]:
    return [
        RecordHeaders(
            index=index,
            names=[name for name, _ in headers[index]],
            values=[value for _, value in headers[index]],
        )
        for index in sorted(headers)
        if headers[index]
    ]
