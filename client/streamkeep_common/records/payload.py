"""From a batch's bytes to its columns, with everything bounded before it is built.

A parsed message may take some thirty times the bytes it was parsed from: an empty header is two bytes on the
wire and an object in memory. So a payload that is large enough for that to hurt is first walked field by
field, and may not have more entries than its batch claims records.
"""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError

from streamkeep_common.errors import InvalidBatchError
from streamkeep_common.limits import MAX_HEADERS_PER_RECORD, MIB
from streamkeep_common.records.codecs import Codec, decompress
from streamkeep_proto.v1.records_pb2 import RecordHeaders, Records

WALKED_ABOVE_BYTES = MIB
"""A payload up to this size is parsed without a walk: it takes 35 MiB in memory at the worst."""

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT_BYTES = 10
_HEADERS = Records.HEADERS_FIELD_NUMBER
_ENTRIES = {Records.KEYS_FIELD_NUMBER, Records.VALUES_FIELD_NUMBER, _HEADERS}
_PACKED = {
    Records.TIMESTAMP_DELTAS_FIELD_NUMBER,
    Records.OFFSET_DELTAS_FIELD_NUMBER,
    Records.NULL_KEYS_FIELD_NUMBER,
    Records.NULL_VALUES_FIELD_NUMBER,
}


def open_records(codec: Codec, payload: bytes, record_count: int, *, max_bytes: int) -> Records:
    """The columns of a batch that claims `record_count` records.

    InvalidBatchError if the payload is damaged, larger than `max_bytes` when opened, or its columns do not
    agree with the count and each other. Only offset_deltas are left to the caller.
    """
    data = decompress(codec, payload, max_bytes=max_bytes)
    if len(data) > WALKED_ABOVE_BYTES:
        _check_entries(memoryview(data), record_count)
    try:
        records = Records.FromString(data)  # type: ignore[arg-type]  # any buffer will do
    except DecodeError as error:
        raise InvalidBatchError(f"the records cannot be parsed: {error}") from None
    _check_columns(records, record_count)
    return records


def _check_columns(records: Records, record_count: int) -> None:
    values, keys = records.values, records.keys
    if len(values) != record_count:
        raise InvalidBatchError(f"the batch claims {record_count} records and has {len(values)} values")
    if keys and len(keys) != record_count:
        raise InvalidBatchError(f"the batch has {len(keys)} keys for {record_count} records")
    if len(records.timestamp_deltas) not in (0, record_count):
        raise InvalidBatchError(
            f"the batch has {len(records.timestamp_deltas)} timestamps for {record_count} records"
        )
    if records.null_keys:
        _check_nulls(records.null_keys, keys, "key")
    if records.null_values:
        _check_nulls(records.null_values, values, "value")
    if records.headers:
        _check_headers(records.headers, record_count)


def _check_nulls(nulls: Sequence[int], column: Sequence[bytes], name: str) -> None:
    _check_rising(nulls, len(column), f"null {name}")
    for index in nulls:
        if column[index]:
            raise InvalidBatchError(f"{name} {index} is said to be null but has bytes")


def _check_headers(headers: Sequence[RecordHeaders], record_count: int) -> None:
    _check_rising([entry.index for entry in headers], record_count, "header")
    for entry in headers:
        if len(entry.names) != len(entry.values):
            raise InvalidBatchError(
                f"record {entry.index} has {len(entry.names)} header names and {len(entry.values)} values"
            )
        if len(entry.names) > MAX_HEADERS_PER_RECORD:
            raise InvalidBatchError(f"record {entry.index} has more than {MAX_HEADERS_PER_RECORD} headers")


def _check_rising(indexes: Sequence[int], bound: int, name: str) -> None:
    previous = -1
    for index in indexes:
        if not previous < index < bound:
            raise InvalidBatchError(f"{name} index {index} is out of order or not below {bound}")
        previous = index


def _check_entries(data: memoryview, record_count: int) -> None:
    """Refuse a payload that has more entries in any column than records; damage is left to the parser."""
    counts = dict.fromkeys(_ENTRIES | _PACKED, 0)
    position = 0
    while position < len(data):
        field, wire_type, start, position = _next_field(data, position)
        if field not in counts:
            continue
        if wire_type == _LENGTH_DELIMITED and field in _PACKED:
            counts[field] += -(-(position - start) // _MAX_VARINT_BYTES)
        else:
            counts[field] += 1
        if counts[field] > record_count:
            raise InvalidBatchError(f"the records have more entries than the {record_count} they claim")
        if field == _HEADERS:
            _check_header_entries(data[start:position])


def _check_header_entries(data: memoryview) -> None:
    limit = 2 * MAX_HEADERS_PER_RECORD + 1  # names, values, and the index
    position = entries = 0
    while position < len(data):
        _, _, _, position = _next_field(data, position)
        entries += 1
        if entries > limit:
            raise InvalidBatchError(f"a record has more than {MAX_HEADERS_PER_RECORD} headers")


def _next_field(data: memoryview, position: int) -> tuple[int, int, int, int]:
    """Field number, wire type, and where the field's contents start and end."""
    tag, start = _read_varint(data, position)
    field, wire_type = tag >> 3, tag & 7
    if wire_type == _LENGTH_DELIMITED:
        length, start = _read_varint(data, start)
        end = start + length
    elif wire_type == _VARINT:
        _, end = _read_varint(data, start)
    elif wire_type in _FIXED_BYTES:
        end = start + _FIXED_BYTES[wire_type]
    else:
        raise InvalidBatchError(f"the records hold a field of wire type {wire_type}")
    if end > len(data):
        raise InvalidBatchError("the records end in the middle of a field")
    return field, wire_type, start, end


def _read_varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift, byte in enumerate(data[position : position + _MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, position + shift + 1
    raise InvalidBatchError("the records hold a number that does not end")
