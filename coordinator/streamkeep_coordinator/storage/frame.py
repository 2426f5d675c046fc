"""One frame of the write-ahead log or of a snapshot: a header of 40 bytes, then the payload. Pure.

    magic u32 | payload length u32 | index u64 | term u64 | durable u64 | payload CRC u32 | header CRC u32

All little-endian, both CRCs are CRC-32C. The header has a checksum of its own, so that its length can be
trusted and headers can be searched for behind a damaged frame. `durable` says that all entries up to that
index were safe on disk before this frame was written, and that tells a torn tail from corruption:

  A bad frame where entry N is expected is a *torn tail* if nothing behind it was written after N was
  durable: a crash between write and fsync leaves that. If a frame behind it has `durable` >= N, then N
  was safe once and has been damaged since: *corruption*, whatever the reason.

A *seal* is a frame without payload, written after each flush, so that damage to the last entry is seen too.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from crc32c import crc32c

from streamkeep_common.limits import MIB

MAGIC = 0x314C_5753  # "SWL1" in the order of the bytes on disk
MAX_PAYLOAD_BYTES = 15 * MIB

_FIELDS = struct.Struct("<IIQQQI")
_CRC = struct.Struct("<I")
_MAGIC_BYTES = struct.pack("<I", MAGIC)
HEADER_BYTES = _FIELDS.size + _CRC.size


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a good frame stands and what it says. A seal has no payload, and the index of the last entry."""

    position: int
    index: int
    term: int
    durable: int
    payload: bytes

    @property
    def is_seal(self) -> bool:
        return not self.payload

    @property
    def end(self) -> int:
        return self.position + HEADER_BYTES + len(self.payload)


class BadFrameError(Exception):
    """There is no good frame at this position; the message says why."""


def pack_frame(index: int, term: int, durable: int, payload: bytes = b"") -> bytes:
    """The frame's bytes."""
    assert len(payload) <= MAX_PAYLOAD_BYTES, f"a payload of {len(payload)} bytes"
    fields = _FIELDS.pack(MAGIC, len(payload), index, term, durable, crc32c(payload))
    return b"".join((fields, _CRC.pack(crc32c(fields)), payload))


def read_frame(data: bytes, position: int) -> Frame:
    """The frame at a position. BadFrameError if it is not all there and right."""
    length, index, term, durable, crc = _read_header(data, position)
    start = position + HEADER_BYTES
    payload = data[start : start + length]
    if len(payload) < length:
        raise BadFrameError(f"the file ends within a frame of {length} bytes")
    if crc32c(payload) != crc:
        raise BadFrameError("the payload's checksum does not match")
    return Frame(position, index, term, durable, payload)


def was_durable(data: bytes, position: int, index: int) -> bool:
    """Whether a header behind `position` says that entry `index` was durable when it was written."""
    while (position := data.find(_MAGIC_BYTES, position + 1)) >= 0:
        try:
            durable = _read_header(data, position)[3]
        except BadFrameError:
            continue
        if durable >= index:
            return True
    return False


def _read_header(data: bytes, position: int) -> tuple[int, int, int, int, int]:
    header = data[position : position + HEADER_BYTES]
    if len(header) < HEADER_BYTES:
        raise BadFrameError("the file ends within a frame's header")
    magic, length, index, term, durable, crc = _FIELDS.unpack_from(header)
    if magic != MAGIC or crc32c(header[: _FIELDS.size]) != _CRC.unpack_from(header, _FIELDS.size)[0]:
        raise BadFrameError("the frame's header is not one or its checksum does not match")
    if length > MAX_PAYLOAD_BYTES:
        raise BadFrameError(f"the frame claims {length} bytes")
    return length, index, term, durable, crc
