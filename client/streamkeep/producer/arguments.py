"""What callers may send, checked before anything is buffered: a mistake is raised where it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamkeep.producer.batch import ENTRY_OVERHEAD_BYTES, Headers
from streamkeep_common.errors import BatchTooLargeError
from streamkeep_common.limits import (
    MAX_BATCH_BYTES,
    MAX_HEADERS_PER_RECORD,
    MAX_RECORDS_BYTES,
    MAX_TIMESTAMP_MS,
)
from streamkeep_common.records import FRAME_HEADER_BYTES, Codec

HeadersArgument = Mapping[str, bytes] | Sequence[tuple[str, bytes]]
"""Headers of one record: a mapping, or pairs where a name stands more than once."""

_BYTES_OR_NONE = {bytes, type(None)}


def max_record_bytes(codec: Codec, buffer_bytes: int) -> int:
    """The largest record that could ever be sent: alone in its batch."""
    largest = MAX_BATCH_BYTES - FRAME_HEADER_BYTES if codec is Codec.NONE else MAX_RECORDS_BYTES
    return min(largest, buffer_bytes)


def check_size(size: int, largest: int) -> None:
    """BatchTooLargeError if a record is larger than any batch."""
    if size > largest:
        raise BatchTooLargeError(f"a record of {size} bytes cannot be sent, the largest is {largest}")


def check_bytes(name: str, item: object) -> None:
    if item.__class__ not in _BYTES_OR_NONE:
        raise TypeError(f"a {name} is bytes or None, not {type(item).__name__}; encode it first")


def check_column(name: str, column: Sequence[object]) -> None:
    if not set(map(type, column)) <= _BYTES_OR_NONE:
        for item in column:
            check_bytes(name, item)


def check_lengths(
    count: int,
    keys: Sequence[object] | None,
    headers: Sequence[object] | None,
    timestamps_ms: Sequence[int] | int | None,
) -> None:
    """ValueError if a column has not one item for each of `count` values."""
    for name, column in (("keys", keys), ("headers", headers), ("timestamps", timestamps_ms)):
        if column is not None and not isinstance(column, int) and len(column) != count:
            raise ValueError(f"{len(column)} {name} for {count} values")


def check_timestamp(timestamp_ms: int) -> None:
    if timestamp_ms.__class__ is not int or not 0 <= timestamp_ms <= MAX_TIMESTAMP_MS:
        raise ValueError(
            f"a timestamp is a whole number of ms, 0 to {MAX_TIMESTAMP_MS}, not {timestamp_ms!r}"
        )


def header_pairs(headers: HeadersArgument) -> Headers:
    """The headers as pairs. TypeError or ValueError if they cannot be sent."""
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    if len(pairs) > MAX_HEADERS_PER_RECORD:
        raise ValueError(f"a record has at most {MAX_HEADERS_PER_RECORD} headers, not {len(pairs)}")
    for name, value in pairs:
        if name.__class__ is not str or value.__class__ is not bytes:
            raise TypeError(
                f"a header is a str and bytes, not {type(name).__name__} and {type(value).__name__}"
            )
        if not name.isascii():
            name.encode()  # UnicodeEncodeError is a ValueError: half of a surrogate pair cannot be sent
    return pairs


def record_size(value: bytes | None, key: bytes | None, headers: Headers | None) -> int:
    """What a record takes in a batch, in bytes."""
    size = ENTRY_OVERHEAD_BYTES + (len(value) if value is not None else 0)
    if key is not None:
        size += ENTRY_OVERHEAD_BYTES + len(key)
    return size + headers_size(headers) if headers else size


def headers_size(headers: Headers) -> int:
    """What the headers of one record take, in bytes; a character of a name takes up to four."""
    return sum(2 * ENTRY_OVERHEAD_BYTES + 4 * len(name) + len(value) for name, value in headers)
