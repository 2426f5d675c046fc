"""From a batch's bytes to its columns, with everything bounded before it is built.

A parsed message may take some thirty times the bytes it was parsed from: an empty header is two bytes on the
wire and an object in memory. So a payload that is large enough for that to hurt is first walked field by
field, and may not have many more fields than its batch claims records.
"""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError

from streamkeep_common.errors import InvalidBatchError
from streamkeep_common.limits import MAX_HEADERS_PER_BATCH, MAX_HEADERS_PER_RECORD, MIB
from streamkeep_common.records.codecs import Codec, decompress
from streamkeep_proto.v1.records_pb2 import RecordHeaders, Records

WALKED_ABOVE_BYTES = 2 * MIB
"""A payload up to this size is parsed without a walk: it takes 70 MiB in memory at the worst."""

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT_BYTES = 10

# Of a record: key, value, headers. Of a batch: each packed column, in a few pieces if the writer likes.
_FIELDS_OF_A_RECORD = 3
_FIELDS_OF_A_BATCH = 64
_PACKED_COLUMNS = 4
_KEY_AND_VALUE_TAGS = frozenset(
    number << 3 | _LENGTH_DELIMITED for number in (Records.KEYS_FIELD_NUMBER, Records.VALUES_FIELD_NUMBER)
)
_PACKED_TAGS = frozenset(
    number << 3 | _LENGTH_DELIMITED
    for number in (
        Records.TIMESTAMP_DELTAS_FIELD_NUMBER,
        Records.OFFSET_DELTAS_FIELD_NUMBER,
        Records.NULL_KEYS_FIELD_NUMBER,
        Records.NULL_VALUES_FIELD_NUMBER,
    )
)
_HEADERS_TAG = Records.HEADERS_FIELD_NUMBER << 3 | _LENGTH_DELIMITED


def open_records(codec: Codec, payload: bytes, record_count: int, *, max_bytes: int) -> Records:
    """The columns of a batch that claims `record_count` records.

    InvalidBatchError if the payload is damaged, larger than `max_bytes` when opened, or its columns do not
    agree with the count and each other. Only offset_deltas are left to the caller.
    """
    data = decompress(codec, payload, max_bytes=max_bytes)
    if len(data) > WALKED_ABOVE_BYTES:
        _walk(bytes(data), record_count)
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
    total = 0
    for entry in headers:
        count = len(entry.names)
        if count != len(entry.values):
            raise InvalidBatchError(
                f"record {entry.index} has {count} header names, {len(entry.values)} values"
            )
        if count > MAX_HEADERS_PER_RECORD:
            raise InvalidBatchError(f"record {entry.index} has {count} headers of {MAX_HEADERS_PER_RECORD}")
        total += count
    if total > MAX_HEADERS_PER_BATCH:
        raise InvalidBatchError(f"the batch has {total} headers of at most {MAX_HEADERS_PER_BATCH}")


def _check_rising(indexes: Sequence[int], bound: int, name: str) -> None:
    previous = -1
    for index in indexes:
        if not previous < index < bound:
            raise InvalidBatchError(f"{name} index {index} is out of order or not below {bound}")
        previous = index


def _walk(data: bytes, record_count: int) -> None:
    """Refuse a payload that would swell when it is parsed. Other damage is left to the parser."""
    fields_left = _FIELDS_OF_A_RECORD * record_count + _FIELDS_OF_A_BATCH
    packed_bytes_left = _PACKED_COLUMNS * _MAX_VARINT_BYTES * record_count
    header_fields_left = 2 * MAX_HEADERS_PER_BATCH + record_count  # names and values, and each record's index
    position, end = 0, len(data)
    while position < end:
        tag = data[position]
        if tag in _KEY_AND_VALUE_TAGS and position + 1 < end and data[position + 1] < 0x80:
            position += 2 + data[position + 1]  # nearly all fields are these, so they are not called for
        else:
            tag, start, position = _next_field(data, position, end)
            if tag in _PACKED_TAGS:
                packed_bytes_left -= position - start
            elif tag == _HEADERS_TAG:
                header_fields_left -= _count_fields(data, start, position, header_fields_left)
        fields_left -= 1
        if fields_left < 0 or packed_bytes_left < 0 or header_fields_left < 0:
            raise InvalidBatchError(f"the records have more fields than the {record_count} they claim")


def _count_fields(data: bytes, position: int, end: int, enough: int) -> int:
    """The number of fields, but not much more than is enough."""
    count = 0
    while position < end and count <= enough:
        _, _, position = _next_field(data, position, end)
        count += 1
    return count


def _next_field(data: bytes, position: int, end: int) -> tuple[int, int, int]:
    """The tag of the field at `position`, and where its contents start and end."""
    tag, start = _read_varint(data, position, end)
    wire_type = tag & 7
    if wire_type == _LENGTH_DELIMITED:
        length, start = _read_varint(data, start, end)
        after = start + length
    elif wire_type == _VARINT:
        _, after = _read_varint(data, start, end)
    elif wire_type in _FIXED_BYTES:
        after = start + _FIXED_BYTES[wire_type]
    else:
        raise InvalidBatchError(f"the records hold a field of wire type {wire_type}")
    if after > end:
        raise InvalidBatchError("the records end in the middle of a field")
    return tag, start, after


def _read_varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    for at in range(position, min(end, position + _MAX_VARINT_BYTES)):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
    raise InvalidBatchError("the records hold a number that does not end")
