from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from streamkeep_common.errors import InvalidBatchError, UnknownCodecError
from streamkeep_common.limits import MIB
from streamkeep_common.records import Codec, codec_of, compress, decompress

COMPRESSED = [codec for codec in Codec if codec is not Codec.NONE]
TEXT = b"departure delayed by weather; " * 1_000


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("data", [b"", b"x", TEXT, bytes(300_000)], ids=["empty", "byte", "text", "zeros"])
def test_what_was_compressed_comes_back(codec: Codec, data: bytes) -> None:
    assert bytes(decompress(codec, compress(codec, data), max_bytes=len(data))) == data


@pytest.mark.parametrize("codec", Codec)
def test_one_byte_more_than_allowed_is_refused(codec: Codec) -> None:
    with pytest.raises(InvalidBatchError, match="more than"):
        decompress(codec, compress(codec, TEXT), max_bytes=len(TEXT) - 1)


@pytest.mark.parametrize("codec", COMPRESSED)
def test_a_bomb_is_refused_without_allocating_what_it_holds(codec: Codec) -> None:
    bomb = compress(codec, bytes(64 * MIB))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidBatchError, match="more than"):
            decompress(codec, bomb, max_bytes=2 * MIB)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 6 * MIB


@pytest.mark.parametrize("codec", COMPRESSED)
def test_an_ordinary_batch_does_not_allocate_the_bound(codec: Codec) -> None:
    frame = compress(codec, TEXT)
    tracemalloc.start()
    try:
        decompress(codec, frame, max_bytes=64 * MIB)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1 * MIB


@pytest.mark.parametrize("codec", COMPRESSED)
def test_contents_far_larger_than_the_frame_still_open(codec: Codec) -> None:
    assert len(decompress(codec, compress(codec, bytes(20 * MIB)), max_bytes=64 * MIB)) == 20 * MIB


@pytest.mark.parametrize("codec", COMPRESSED)
def test_a_frame_cut_short_anywhere_is_refused(codec: Codec) -> None:
    frame = compress(codec, b"some records, " * 10)
    for size in range(len(frame)):
        with pytest.raises(InvalidBatchError):
            decompress(codec, frame[:size], max_bytes=MIB)


@pytest.mark.parametrize("codec", COMPRESSED)
def test_bytes_behind_the_frame_are_refused(codec: Codec) -> None:
    with pytest.raises(InvalidBatchError):
        decompress(codec, compress(codec, TEXT) + b"\0", max_bytes=MIB)


def test_any_gzip_of_one_member_is_read() -> None:
    assert decompress(Codec.GZIP, gzip.compress(TEXT, 9), max_bytes=MIB) == TEXT


def test_two_gzip_members_are_refused() -> None:
    with pytest.raises(InvalidBatchError):
        decompress(Codec.GZIP, gzip.compress(TEXT) * 2, max_bytes=MIB)


def test_a_bare_zlib_stream_is_not_gzip() -> None:
    with pytest.raises(InvalidBatchError):
        decompress(Codec.GZIP, zlib.compress(TEXT), max_bytes=MIB)


@pytest.mark.parametrize("attributes", [5, 6, 7, 0b10101])
def test_a_codec_that_nobody_knows_is_named(attributes: int) -> None:
    with pytest.raises(UnknownCodecError, match=f"codec {attributes & 7}"):
        codec_of(attributes)


def test_other_attribute_bits_do_not_change_the_codec() -> None:
    assert codec_of(0b110100) is Codec.ZSTD


def test_a_snappy_block_that_lies_about_its_length_is_refused() -> None:
    for claim in [b"\xff\xff\xff\xff\x0f", b"\x80\x80\x40", b"\xff" * 10, b"\x00\x00"]:
        with pytest.raises(InvalidBatchError):
            decompress(Codec.SNAPPY, claim + b"\x00a", max_bytes=MIB)
