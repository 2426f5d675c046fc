"""Bytes that nobody meant: parsers answer with an error of the taxonomy, and every flipped bit is found."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st

from streamkeep_common.errors import (
    CorruptBatchError,
    InvalidBatchError,
    StreamkeepError,
    UnsupportedFeatureError,
)
from streamkeep_common.records import (
    FRAME_HEADER_BYTES,
    Codec,
    batch_to_frame,
    check_produced_batch,
    codec_of,
    decode_batch,
    decompress,
    encode_batch,
    produced_values,
    records_crc,
    stamp,
    unpack_header,
    verify_records,
)
from streamkeep_common.records import payload as payload_module
from streamkeep_common.settings import TopicSettings
from streamkeep_proto.v1.records_pb2 import LogSegment, RecordBatch
from tests.property.batches import columns, stamps

SETTINGS = TopicSettings.of()
INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 2)


@st.composite
def any_batches(draw: st.DrawFn) -> RecordBatch:
    """A batch of arbitrary fields, often with right checksums, so that what lies behind them is reached."""
    payload = draw(
        st.binary(max_size=200) | columns(max_records=4).map(lambda given_: encode_batch(**given_).records)
    )
    count = draw(st.integers(0, 5) | st.integers(0, 2**32 - 1))
    batch = RecordBatch(
        base_offset=draw(INTEGERS),
        leader_flags=draw(st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 257])),
        attributes=draw(st.integers(0, 7) | st.integers(0, 2**32 - 1)),
        record_count=count,
        last_offset_delta=draw(st.just((count - 1) % 2**32) | st.integers(0, 2**32 - 1)),
        base_timestamp_ms=draw(INTEGERS),
        max_timestamp_ms=draw(INTEGERS),
        producer_id=draw(INTEGERS),
        records=payload,
    )
    if draw(st.booleans()):
        batch.records_crc32c = records_crc(produced_values(batch), payload)
        batch.header_crc32c = LogSegment.FromString(batch_to_frame(batch)).batches[0].header_crc32c
    return batch


@given(st.binary(max_size=300), st.integers(0, 100))
def test_arbitrary_bytes_are_no_frame(data: bytes, position: int) -> None:
    with pytest.raises((CorruptBatchError, UnsupportedFeatureError)):
        unpack_header(data, position)


@given(any_batches())
def test_an_arbitrary_batch_is_decoded_or_refused_by_an_error_of_ours(batch: RecordBatch) -> None:
    for check in (True, False):
        with suppress(StreamkeepError):
            read = decode_batch(batch, check=check, max_bytes=100_000)
            assert len(read.values) == len(read.offsets) == len(read.timestamps_ms) == batch.record_count


@given(any_batches())
def test_an_arbitrary_batch_is_appended_or_refused_by_an_error_of_ours(batch: RecordBatch) -> None:
    with suppress(StreamkeepError):
        check_produced_batch(batch, batch.records, settings=SETTINGS, now_ms=0)


@given(any_batches())
def test_what_passes_the_check_can_be_read_for_ever(batch: RecordBatch) -> None:
    batch.base_offset = batch.leader_flags = batch.header_crc32c = 0
    batch.producer_id = 1
    batch.max_timestamp_ms = batch.base_timestamp_ms = abs(batch.base_timestamp_ms) % 1_000
    batch.records_crc32c = records_crc(produced_values(batch), batch.records)
    try:
        check_produced_batch(batch, batch.records, settings=SETTINGS, now_ms=0)
    except StreamkeepError:
        return
    header = stamp(
        batch, batch.records, base_offset=5, leader_epoch=1, append_time_ms=0, log_append_time=False
    )
    decode_batch(LogSegment.FromString(header + batch.records).batches[0])


@given(st.sampled_from(Codec), st.binary(max_size=300))
def test_arbitrary_bytes_are_decompressed_or_refused(codec: Codec, data: bytes) -> None:
    with suppress(InvalidBatchError):
        assert len(decompress(codec, data, max_bytes=10_000)) <= 10_000


@given(columns(max_records=4), st.data())
def test_a_frame_of_a_codec_with_a_changed_byte_is_decompressed_or_refused(
    given_: dict[str, Any], data: st.DataObject
) -> None:
    batch = encode_batch(**given_)
    changed = bytearray(batch.records)
    if changed:
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with suppress(InvalidBatchError):
        decompress(codec_of(batch.attributes), bytes(changed), max_bytes=100_000)


@given(columns())
def test_an_honest_payload_of_any_shape_passes_the_walk_before_parsing(given_: dict[str, Any]) -> None:
    batch = encode_batch(**(given_ | {"codec": Codec.NONE}))
    payload_module._walk(batch.records, batch.record_count)


PIECES = st.sampled_from([b"\x12\x00", b"\x3a\x02\x12\x00", b"\x1a\x01\x00", b"\x11", b"\x80", b"\x0b"])


@given(st.binary(max_size=200) | st.lists(PIECES).map(b"".join), st.integers(0, 20))
@example(b"\x12", 1)
@example(b"\x12\x80", 1)
@example(b"\x12" + b"\xff" * 10, 1)
@example(b"\x11" + bytes(7), 1)
def test_the_walk_before_parsing_ends_on_arbitrary_bytes(data: bytes, record_count: int) -> None:
    with suppress(InvalidBatchError):
        payload_module._walk(data, record_count)


@given(columns(max_records=4), stamps(), st.data())
def test_any_flipped_bit_of_a_frame_is_found(
    given_: dict[str, Any], stamped: dict[str, Any], data: st.DataObject
) -> None:
    batch = encode_batch(**given_)
    frame = stamp(batch, batch.records, **stamped) + batch.records
    find_flips(frame, [data.draw(st.integers(0, 8 * len(frame) - 1)) for _ in range(10)])


@pytest.mark.parametrize("codec", Codec)
def test_each_single_bit_of_a_frame_is_guarded(codec: Codec) -> None:
    batch = encode_batch(
        values=[b"first", None, b"third" * 20],
        keys=[b"k", b"", None],
        timestamps_ms=[1, 2, 3],
        headers={1: [("h", b"v")]},
        codec=codec,
        producer_id=5,
        producer_epoch=1,
        base_sequence=2,
    )
    header = stamp(
        batch, batch.records, base_offset=9, leader_epoch=2, append_time_ms=7, log_append_time=False
    )
    frame = header + batch.records
    find_flips(frame, range(8 * len(frame)))


def find_flips(frame: bytes, bits: Any) -> None:
    for bit in bits:
        changed = bytearray(frame)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((CorruptBatchError, UnsupportedFeatureError)):
            verify_records(unpack_header(changed), memoryview(changed)[FRAME_HEADER_BYTES:])
        with suppress(DecodeError):  # a reader who gets the flipped bytes as a message
            stored = LogSegment.FromString(bytes(changed)).batches
            if len(stored) == 1 and batch_to_frame(stored[0]) != frame:
                with pytest.raises(StreamkeepError):
                    decode_batch(stored[0])
