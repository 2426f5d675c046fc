from __future__ import annotations

import struct

import pytest
from crc32c import crc32c

from streamkeep_common.errors import CorruptBatchError, UnsupportedFeatureError
from streamkeep_common.limits import MAX_BATCH_BYTES
from streamkeep_common.records import (
    FRAME_HEADER_BYTES,
    LOG_APPEND_TIME,
    FrameHeader,
    batch_to_frame,
    encode_batch,
    pack_header,
    produced_values,
    records_crc,
    stamp,
    unpack_header,
    verify_batch,
    verify_records,
)
from streamkeep_proto.v1.records_pb2 import LogSegment, RecordBatch

# As they stand in records.proto.
VECTOR_RECORDS = "0a016b 0a00 120568656c6c6f 1205776f726c64 1a02000a 2a0101"
VECTOR_RECORDS_CRC = 0xFDA70928
VECTOR_HEADER_CRC = 0x64E29E71


def produced(values: list[bytes | None] | None = None) -> RecordBatch:
    return encode_batch(
        values=values or [b"a", b"bc", b"def"],
        timestamps_ms=[1_000, 1_005, 1_002],
        producer_id=7,
        producer_epoch=2,
        base_sequence=40,
    )


def stamped(batch: RecordBatch, *, base_offset: int = 100, log_append_time: bool = False) -> bytes:
    payload = batch.records
    header = stamp(
        batch,
        payload,
        base_offset=base_offset,
        leader_epoch=3,
        append_time_ms=2_000,
        log_append_time=log_append_time,
    )
    return header + payload


def test_a_stamped_batch_parses_as_a_segment_with_every_field() -> None:
    batch = produced()
    (stored,) = LogSegment.FromString(stamped(batch)).batches
    assert (stored.base_offset, stored.leader_epoch, stored.append_time_ms) == (100, 3, 2_000)
    assert stored.leader_flags == 1
    assert produced_values(stored) == produced_values(batch)
    assert (stored.records, stored.records_crc32c) == (batch.records, batch.records_crc32c)
    verify_batch(stored, stored.records)


def test_frames_behind_each_other_parse_as_a_segment() -> None:
    segment = b"".join(stamped(produced(), base_offset=3 * number) for number in range(5))
    assert [batch.base_offset for batch in LogSegment.FromString(segment).batches] == [0, 3, 6, 9, 12]


def test_a_header_unpacks_to_what_was_stamped() -> None:
    batch = produced()
    frame = stamped(batch)
    header = unpack_header(frame)
    assert header.base_offset == 100
    assert header[5:13] == produced_values(batch)
    assert header.frame_bytes == len(frame)
    assert header.next_offset == 103
    assert pack_header(header) == frame[:FRAME_HEADER_BYTES]
    verify_records(header, frame[FRAME_HEADER_BYTES:])


def test_a_header_is_found_inside_a_buffer() -> None:
    frame = stamped(produced())
    assert unpack_header(memoryview(b"xyz" + frame), 3) == unpack_header(frame)


def test_a_parsed_batch_becomes_the_same_frame_again() -> None:
    frame = stamped(produced())
    assert batch_to_frame(LogSegment.FromString(frame).batches[0]) == frame


def test_a_reader_sees_the_time_of_appending_where_the_topic_says_so() -> None:
    assert unpack_header(stamped(produced())).largest_timestamp_ms == 1_005
    header = unpack_header(stamped(produced(), log_append_time=True))
    assert header.leader_flags & LOG_APPEND_TIME
    assert header.largest_timestamp_ms == 2_000


@pytest.mark.parametrize("size", [1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, MAX_BATCH_BYTES - 200])
def test_both_lengths_are_right_for_records_of_any_size(size: int) -> None:
    batch = RecordBatch(record_count=1, records=bytes(size))
    frame = batch_to_frame(batch)
    assert len(frame) == FRAME_HEADER_BYTES + size
    assert LogSegment.FromString(frame).batches[0].records == batch.records


def test_extreme_values_survive() -> None:
    header = FrameHeader(
        2**63 - 1, 2**31 - 1, 1, -(2**63), 0, 2**32 - 1, 2**32 - 1, 2**32 - 1, -1, 2**63 - 1, -1, -1, -1, 5, 0
    )
    assert unpack_header(pack_header(header))._replace(header_crc32c=0) == header


def test_the_checksums_are_those_that_the_proto_describes() -> None:
    batch = produced()
    values = struct.pack("<IIIqqqii", *produced_values(batch))
    assert len(values) == 44
    assert (
        batch.records_crc32c
        == crc32c(values + batch.records)
        == records_crc(produced_values(batch), batch.records)
    )
    header = unpack_header(stamped(batch))
    covered = struct.pack("<qiIqIIIqqqiiI", *header[:4], *header[5:14])
    assert len(covered) == 72
    assert header.header_crc32c == crc32c(covered)


def test_the_vectors_in_the_proto_hold() -> None:
    batch = encode_batch(
        values=[b"hello", b"world"],
        keys=[b"k", None],
        timestamps_ms=[1_357_000_000_000, 1_357_000_000_005],
        producer_id=1,
        producer_epoch=0,
        base_sequence=0,
    )
    assert batch.records == bytes.fromhex(VECTOR_RECORDS)
    assert batch.records_crc32c == VECTOR_RECORDS_CRC
    header = stamp(
        batch,
        batch.records,
        base_offset=42,
        leader_epoch=1,
        append_time_ms=1_357_000_000_010,
        log_append_time=False,
    )
    assert unpack_header(header).header_crc32c == VECTOR_HEADER_CRC
    assert crc32c(b"123456789") == 0xE3069283


def test_bytes_that_are_no_frame_are_refused() -> None:
    for junk in [b"", b"\x0a", bytes(100), b"GET / HTTP/1.1\r\n" * 10, b"\xff" * 200]:
        with pytest.raises(CorruptBatchError):
            unpack_header(junk)


def test_a_header_cut_short_is_refused() -> None:
    frame = stamped(produced())
    for size in range(FRAME_HEADER_BYTES):
        with pytest.raises(CorruptBatchError):
            unpack_header(frame[:size])


def test_a_frame_that_claims_more_than_any_batch_is_refused() -> None:
    frame = bytearray(stamped(produced()))
    frame[1:5] = frame[96:100] = b"\xff\xff\xff\x7f"
    with pytest.raises(CorruptBatchError, match="contradict"):
        unpack_header(frame)
    frame[1:5] = b"\x94\x80\x80\x7e"
    frame[96:100] = b"\xb5\xff\xff\x7d"
    with pytest.raises(CorruptBatchError, match="more than any batch"):
        unpack_header(frame)


def test_records_of_the_wrong_size_are_refused() -> None:
    frame = stamped(produced())
    header = unpack_header(frame)
    for payload in [b"", frame[FRAME_HEADER_BYTES:-1], frame[FRAME_HEADER_BYTES:] + b"\0"]:
        with pytest.raises(CorruptBatchError):
            verify_records(header, payload)


def test_a_newer_layout_is_named_as_such_not_as_corruption() -> None:
    frame = pack_header(unpack_header(stamped(produced()))._replace(leader_flags=2))
    with pytest.raises(UnsupportedFeatureError, match="layout version 2"):
        unpack_header(frame)
