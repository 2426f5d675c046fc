"""The codecs of a batch's records, each with a hard bound on what comes out.

The frames are those that records.proto names, so that any library in any language can speak them.
Levels are the fast ones: a producer compresses on its event loop.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import cramjam

from streamkeep_common.errors import InvalidBatchError, UnknownCodecError
from streamkeep_common.limits import KIB

CODEC_MASK = 0b111
"""The bits of RecordBatch.attributes that hold the codec."""

_GZIP_LEVEL = 1
_GZIP_WINDOW = zlib.MAX_WBITS | 16  # zlib's way to say: one RFC 1952 member
_LZ4_LEVEL = 0
_ZSTD_LEVEL = 1

# A frame does not say reliably how long its contents are. The first try has room for what a fast codec makes
# of ordinary records; each further try has more, up to the caller's bound. So a small batch never costs the
# bound.
_FIRST_TRY_BYTES = 64 * KIB
_FIRST_TRY_RATIO = 4
_NEXT_TRY_RATIO = 4
_OUT_OF_ROOM = "failed to write whole buffer"


class Codec(IntEnum):
    """How `RecordBatch.records` is compressed; the numbers are those in its attributes."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


def codec_of(attributes: int) -> Codec:
    """The codec that a batch's attributes name. UnknownCodecError if there is none of that number."""
    number = attributes & CODEC_MASK
    try:
        return Codec(number)
    except ValueError:
        raise UnknownCodecError(f"the batch is compressed with codec {number}, which nobody knows") from None


def compress(codec: Codec, data: bytes) -> bytes:
    """`data` as one frame of the codec; NONE gives it back as it is."""
    match codec:
        case Codec.NONE:
            return data
        case Codec.GZIP:
            return bytes(cramjam.gzip.compress(data, level=_GZIP_LEVEL))
        case Codec.SNAPPY:
            return bytes(cramjam.snappy.compress_raw(data))
        case Codec.LZ4:
            return bytes(cramjam.lz4.compress(data, level=_LZ4_LEVEL))
        case Codec.ZSTD:
            return bytes(cramjam.zstd.compress(data, level=_ZSTD_LEVEL))


def decompress(codec: Codec, data: bytes, *, max_bytes: int) -> bytes | memoryview:
    """The contents of one frame of the codec, as a buffer; NONE gives `data` back.

    InvalidBatchError if the frame is damaged, cut short, or holds more than `max_bytes`. No more than
    `max_bytes` is ever allocated for the contents, whatever the frame claims.
    """
    match codec:
        case Codec.NONE:
            if len(data) > max_bytes:
                raise _too_large(codec, max_bytes)
            return data
        case Codec.GZIP:
            return _gunzip(data, max_bytes)
        case Codec.SNAPPY:
            return _decompress_snappy(data, max_bytes)
        case Codec.LZ4:
            return _decompress_growing(codec, cramjam.lz4.decompress_into, data, max_bytes)
        case Codec.ZSTD:
            return _decompress_growing(codec, cramjam.zstd.decompress_into, data, max_bytes)


def _gunzip(data: bytes, max_bytes: int) -> bytes:
    member = zlib.decompressobj(_GZIP_WINDOW)
    try:
        # One byte more than allowed: a full buffer alone would not tell whether anything was left.
        contents = member.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise _damaged(Codec.GZIP, error) from None
    if len(contents) > max_bytes:
        raise _too_large(Codec.GZIP, max_bytes)
    if not member.eof or member.unused_data:
        raise _damaged(Codec.GZIP, "not one whole member")
    return contents


def _decompress_snappy(data: bytes, max_bytes: int) -> memoryview:
    try:
        if cramjam.snappy.decompress_raw_len(data) > max_bytes:
            raise _too_large(Codec.SNAPPY, max_bytes)
        return memoryview(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as error:
        raise _damaged(Codec.SNAPPY, error) from None


def _decompress_growing(
    codec: Codec, decompress_into: Callable[[bytes, Any], int], data: bytes, max_bytes: int
) -> memoryview:
    room = min(max_bytes, max(_FIRST_TRY_BYTES, _FIRST_TRY_RATIO * len(data)))
    while True:
        contents = bytearray(room)
        try:
            size = decompress_into(data, contents)
        except cramjam.DecompressionError as error:
            if _OUT_OF_ROOM not in str(error):
                raise _damaged(codec, error) from None
            if room == max_bytes:
                raise _too_large(codec, max_bytes) from None
            room = min(max_bytes, _NEXT_TRY_RATIO * room)
        else:
            return memoryview(contents)[:size]


def _too_large(codec: Codec, max_bytes: int) -> InvalidBatchError:
    return InvalidBatchError(f"the {codec.name.lower()} records hold more than {max_bytes} bytes when opened")


def _damaged(codec: Codec, reason: object) -> InvalidBatchError:
    return InvalidBatchError(f"the {codec.name.lower()} records cannot be decompressed: {reason}")
