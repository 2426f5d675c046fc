"""The file format that both indexes share: columns of numbers behind a header with a checksum.

An index can always be built again from its segment, so its file is written once, unsynced, and believed
only if it is whole and speaks of a segment of exactly the size at hand.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence

from crc32c import crc32c

_HEADER = struct.Struct("<4sIQI")  # magic, entries, bytes of the segment, checksum of the rest
_SEALED = struct.Struct("<IQ")

HEADER_BYTES = _HEADER.size


class BrokenIndexError(ValueError):
    """The file is torn, changed, of another kind, or of another state of the segment."""


def encode_index(magic: bytes, columns: Sequence[array[int]], segment_bytes: int) -> bytes:
    """The file of an index over a segment of that size. All columns have one length."""
    entries = len(columns[0])
    body = b"".join(_little_endian(column).tobytes() for column in columns)
    return _HEADER.pack(magic, entries, segment_bytes, _checksum(entries, segment_bytes, body)) + body


def decode_index(magic: bytes, typecodes: str, data: bytes, segment_bytes: int) -> list[array[int]]:
    """The columns, one for each array typecode. Raises BrokenIndexError."""
    if len(data) < HEADER_BYTES:
        raise BrokenIndexError("it is shorter than its header")
    found, entries, covered, checksum = _HEADER.unpack_from(data)
    body = memoryview(data)[HEADER_BYTES:]
    if found != magic:
        raise BrokenIndexError("it is not an index of this kind")
    columns = [array(typecode) for typecode in typecodes]
    if len(body) != entries * sum(column.itemsize for column in columns):
        raise BrokenIndexError(f"its size does not fit {entries} entries")
    if checksum != _checksum(entries, covered, body):
        raise BrokenIndexError("it does not match its checksum")
    if covered != segment_bytes:
        raise BrokenIndexError(f"it covers {covered} bytes of a segment that has {segment_bytes}")
    start = 0
    for column in columns:
        end = start + entries * column.itemsize
        column.frombytes(body[start:end])
        start = end
    return [_little_endian(column) for column in columns]


def _checksum(entries: int, segment_bytes: int, body: bytes | memoryview) -> int:
    return crc32c(body, crc32c(_SEALED.pack(entries, segment_bytes)))


def _little_endian(column: array[int]) -> array[int]:
    if sys.byteorder == "little":
        return column
    swapped = column[:]
    swapped.byteswap()
    return swapped
