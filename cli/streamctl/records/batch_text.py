"""A stored batch as text and as JSON fields, for `log dump`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from streamctl.records.json_text import JsonFields, bytes_fields, header_fields
from streamkeep_common.records.codecs import codec_of
from streamkeep_common.records.decode import RecordColumns, decode_batch
from streamkeep_proto.v1.records_pb2 import RecordBatch


def batch_fields(position: int, batch: RecordBatch) -> JsonFields:
    """The header of a batch at a byte of its file."""
    return {
        "position": position,
        "base_offset": batch.base_offset,
        "last_offset": batch.base_offset + batch.last_offset_delta,
        "records": batch.record_count,
        "leader_epoch": batch.leader_epoch,
        "append_time_ms": batch.append_time_ms,
        "base_timestamp_ms": batch.base_timestamp_ms,
        "max_timestamp_ms": batch.max_timestamp_ms,
        "codec": codec_of(batch.attributes).name.lower(),
        "records_bytes": len(batch.records),
        "producer_id": batch.producer_id,
        "producer_epoch": batch.producer_epoch,
        "base_sequence": batch.base_sequence,
        "header_crc32c": f"{batch.header_crc32c:08x}",
        "records_crc32c": f"{batch.records_crc32c:08x}",
    }


def batch_line(position: int, batch: RecordBatch) -> str:
    """One line for a person."""
    fields = batch_fields(position, batch)
    return (
        f"byte {position}: offsets {batch.base_offset}..{fields['last_offset']},"
        f" {batch.record_count} records, {len(batch.records)} bytes {fields['codec']},"
        f" epoch {batch.leader_epoch},"
        f" producer {batch.producer_id}/{batch.producer_epoch} sequence {batch.base_sequence},"
        f" appended {moment(batch.append_time_ms)}"
    )


def record_fields(batch: RecordBatch) -> Iterator[JsonFields]:
    """The records of a batch whose checksums were verified before."""
    columns = decode_batch(batch, check=False)
    for index in range(len(columns)):
        yield _record(columns, index)


def _record(columns: RecordColumns, index: int) -> JsonFields:
    return {
        "offset": columns.offsets[index],
        "timestamp_ms": columns.timestamps_ms[index],
        **bytes_fields("key", None if columns.keys is None else columns.keys[index]),
        **bytes_fields("value", columns.values[index]),
        "headers": header_fields(columns.headers.get(index, ())),
    }


def moment(timestamp_ms: int) -> str:
    """A time for a person: UTC to the millisecond, or the bare number where no calendar has it."""
    try:
        return datetime.fromtimestamp(timestamp_ms / 1_000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"{timestamp_ms} ms"
