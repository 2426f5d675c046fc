"""One frame of the log, of a snapshot or of the marks: a header of 40 bytes, then the payload. Pure.

    magic u32 | payload length u32 | index u64 | term u64 | durable u64 | payload CRC u32 | header CRC u32

All little-endian, both CRCs are CRC-32C. The header has a checksum of its own, so that its length can be
trusted and headers can be searched for behind a damaged frame. The magic says what kind of frame it is:

| kind       | index and term                 | durable            | payload                                 |
|------------|--------------------------------|--------------------|-----------------------------------------|
| ENTRY      | the entry's                    | see below          | a serialized MetadataEntry              |
| seal       | the last entry's before it     | the same index     | none (its magic is that of an entry)    |
| HARD_STATE | the last entry's before it     | see below          | HardState                               |
| START      | the entry's before the segment | the same index     | Start (segment.py); a segment's first   |
| MARK       | the last entry's               | the generation     | HardState (marks.py)                    |

`durable` says that all entries up to that index were safe on disk before this frame was written. A *seal*
follows each flush: all bytes before it were safe when it was written. That tells a torn tail from corruption:

  A bad frame where entry N is expected is a *torn tail* if nothing behind it was written after it was safe: a
  crash between write and flush leaves that. If behind it stands a seal, or a frame with `durable` >= N, then
  it was safe once and has been damaged since: *corruption*, whatever the reason.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from crc32c import crc32c

from streamkeep_common.limits import MIB

MAX_PAYLOAD_BYTES = 15 * MIB

_FIELDS = struct.Struct("<IIQQQI")
_CRC = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CRC.size


class FrameKind(IntEnum):
    """The magics: four letters in the order of the bytes on disk."""

    ENTRY = int.from_bytes(b"SWL1", "little")
    HARD_STATE = int.from_bytes(b"SWH1", "little")
    START = int.from_bytes(b"SWS1", "little")
    MARK = int.from_bytes(b"SWM1", "little")


_KINDS = {int(kind): kind for kind in FrameKind}
_LOG_MAGICS = [struct.pack("<I", kind) for kind in (FrameKind.ENTRY, FrameKind.HARD_STATE, FrameKind.START)]


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a good frame stands and what it says."""

    position: int
    kind: FrameKind
    index: int
    term: int
    durable: int
    payload: bytes

    @property
    def is_entry(self) -> bool:
        return self.kind is FrameKind.ENTRY and bool(self.payload)

    @property
    def is_seal(self) -> bool:
        return self.kind is FrameKind.ENTRY and not self.payload

    @property
    def end(self) -> int:
        return self.position + HEADER_BYTES + len(self.payload)


class BadFrameError(Exception):
    """There is no good frame at `position`; the message says why."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position


def pack_frame(
    index: int, term: int, durable: int, payload: bytes = b"", *, kind: FrameKind = FrameKind.ENTRY
) -> bytes:
    """The frame's bytes; without a payload a seal."""
    assert len(payload) <= MAX_PAYLOAD_BYTES, f"a payload of {len(payload)} bytes"
    fields = _FIELDS.pack(kind, len(payload), index, term, durable, crc32c(payload))
    return b"".join((fields, _CRC.pack(crc32c(fields)), payload))


def read_frame(data: bytes, position: int) -> Frame:
    """The frame at a position. BadFrameError if it is not all there and right."""
    kind, length, index, term, durable, crc = _read_header(data, position)
    start = position + HEADER_BYTES
    payload = data[start : start + length]
    if len(payload) < length:
        raise BadFrameError(position, f"the file ends within a frame of {length} bytes")
    if crc32c(payload) != crc:
        raise BadFrameError(position, "the payload's checksum does not match")
    return Frame(position, kind, index, term, durable, payload)


def read_kind(data: bytes, position: int) -> FrameKind:
    """Of the frame at a position, by its header alone. BadFrameError if that is not right."""
    return _read_header(data, position)[0]


def read_size(header: bytes) -> int:
    """Bytes of the whole frame that begins with this header. BadFrameError if that is not right."""
    return HEADER_BYTES + _read_header(header, 0)[1]


def read_frames(data: bytes) -> Iterator[Frame]:
    """One after the other from the beginning. BadFrameError at the first that is not good."""
    position = 0
    while position < len(data):
        frame = read_frame(data, position)
        yield frame
        position = frame.end


def find_frame(data: bytes, position: int) -> int | None:
    """Where the next good header of a log begins, at that position or behind it."""
    found: list[int] = []
    for magic in _LOG_MAGICS:
        at = data.find(magic, position)
        while at >= 0 and not _is_header(data, at):
            at = data.find(magic, at + 1)
        found += [at] if at >= 0 else []
    return min(found, default=None)


def _is_header(data: bytes, position: int) -> bool:
    try:
        _read_header(data, position)
    except BadFrameError:
        return False
    return True


def was_durable(data: bytes, position: int, index: int) -> bool:
    """Whether something behind `position`, where entry `index` belongs, was written when that was safe."""
    return any(_says_durable(data, position, magic, index) for magic in _LOG_MAGICS)


def _says_durable(data: bytes, position: int, magic: bytes, index: int) -> bool:
    while (position := data.find(magic, position + 1)) >= 0:
        try:
            kind, length, _, _, durable, _ = _read_header(data, position)
        except BadFrameError:
            continue
        is_seal = kind is FrameKind.ENTRY and not length
        if is_seal or durable >= index:
            return True
    return False


def _read_header(data: bytes, position: int) -> tuple[FrameKind, int, int, int, int, int]:
    header = data[position : position + HEADER_BYTES]
    if len(header) < HEADER_BYTES:
        raise BadFrameError(position, "the file ends within a frame's header")
    magic, length, index, term, durable, crc = _FIELDS.unpack_from(header)
    if magic not in _KINDS or crc32c(header[: _FIELDS.size]) != _CRC.unpack_from(header, _FIELDS.size)[0]:
        raise BadFrameError(position, "the frame's header is not one or its checksum does not match")
    if length > MAX_PAYLOAD_BYTES:
        raise BadFrameError(position, f"the frame claims {length} bytes")
    return _KINDS[magic], length, index, term, durable, crc
