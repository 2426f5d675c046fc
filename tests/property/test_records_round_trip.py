from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streamkeep_common.limits import MAX_TIMESTAMP_MS
from streamkeep_common.records import (
    FRAME_HEADER_BYTES,
    Codec,
    batch_to_frame,
    check_produced_batch,
    compress,
    decode_batch,
    decompress,
    encode_batch,
    pack_header,
    produced_values,
    stamp,
    unpack_header,
    verify_records,
)
from streamkeep_common.settings import TopicSettings
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.property.batches import columns, stamps

ANY_TIME = TopicSettings.of({"timestamp_after_max_ms": "-1"})


@given(columns(), stamps())
def test_records_come_out_of_the_log_as_they_were_produced(
    given_: dict[str, Any], stamped: dict[str, Any]
) -> None:
    batch = encode_batch(**given_)
    check_produced_batch(batch, batch.records, settings=ANY_TIME, now_ms=0)
    frame = stamp(batch, batch.records, **stamped) + batch.records
    read = decode_batch(LogSegment.FromString(frame).batches[0])

    count = len(given_["values"])
    assert read.values == given_["values"]
    assert (read.keys or [None] * count) == (given_["keys"] or [None] * count)
    assert list(read.offsets) == list(range(stamped["base_offset"], stamped["base_offset"] + count))
    assert read.leader_epoch == stamped["leader_epoch"]
    assert read.headers == {index: pairs for index, pairs in (given_["headers"] or {}).items() if pairs}
    expected = stamped["append_time_ms"] if stamped["log_append_time"] else given_["timestamps_ms"]
    assert read.timestamps_ms == ([expected] * count if isinstance(expected, int) else expected)


@given(columns(), stamps())
def test_a_frame_and_its_header_agree_with_the_message(
    given_: dict[str, Any], stamped: dict[str, Any]
) -> None:
    batch = encode_batch(**given_)
    frame = stamp(batch, batch.records, **stamped) + batch.records
    header = unpack_header(frame)
    verify_records(header, memoryview(frame)[FRAME_HEADER_BYTES:])
    assert pack_header(header) + batch.records == frame
    assert header.frame_bytes == len(frame)
    stored = LogSegment.FromString(frame).batches[0]
    assert batch_to_frame(stored) == frame
    assert produced_values(stored) == header[5:13]


@given(st.lists(st.tuples(columns(max_records=5), stamps()), max_size=5))
def test_frames_can_be_walked_one_by_one_in_any_segment(
    batches: list[tuple[dict[str, Any], dict[str, Any]]],
) -> None:
    segment = b""
    for given_, stamped in batches:
        batch = encode_batch(**given_)
        segment += stamp(batch, batch.records, **stamped) + batch.records
    position, walked = 0, 0
    while position < len(segment):
        position += unpack_header(segment, position).frame_bytes
        walked += 1
    assert (position, walked) == (len(segment), len(batches))
    assert len(LogSegment.FromString(segment).batches) == len(batches)


@given(st.sampled_from(Codec), st.binary(max_size=2_000), st.integers(1, 200))
def test_every_codec_gives_back_what_it_was_given(codec: Codec, data: bytes, repeat: int) -> None:
    data *= repeat
    assert bytes(decompress(codec, compress(codec, data), max_bytes=len(data))) == data


@given(columns())
def test_the_header_tells_the_truth_about_timestamps(given_: dict[str, Any]) -> None:
    batch = encode_batch(**given_)
    timestamps = given_["timestamps_ms"]
    first, greatest = (
        (timestamps, timestamps) if isinstance(timestamps, int) else (timestamps[0], max(timestamps))
    )
    assert (batch.base_timestamp_ms, batch.max_timestamp_ms) == (first, greatest)
    assert 0 <= first <= greatest <= MAX_TIMESTAMP_MS
