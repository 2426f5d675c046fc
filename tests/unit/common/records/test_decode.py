from __future__ import annotations

import pytest

from streamkeep_common.errors import CorruptDataError, UnknownCodecError, UnsupportedFeatureError
from streamkeep_common.records import (
    FRAME_HEADER_BYTES,
    Codec,
    batch_to_frame,
    decode_batch,
    encode_batch,
    produced_values,
    records_crc,
    stamp,
)
from streamkeep_proto.v1.records_pb2 import LogSegment, RecordBatch, RecordHeaders, Records


def in_log(batch: RecordBatch, *, base_offset: int = 50, log_append_time: bool = False) -> RecordBatch:
    """The batch as a reader gets it."""
    header = stamp(
        batch,
        batch.records,
        base_offset=base_offset,
        leader_epoch=4,
        append_time_ms=9_000,
        log_append_time=log_append_time,
    )
    return LogSegment.FromString(header + batch.records).batches[0]


def in_log_with(records: Records, **claims: int) -> RecordBatch:
    """A batch whose checksums are right, whatever its records hold."""
    count = claims.pop("record_count", len(records.values))
    claims = {"last_offset_delta": count - 1, "leader_flags": 1} | claims
    batch = RecordBatch(record_count=count, records=records.SerializeToString(), **claims)  # type: ignore[arg-type]
    batch.records_crc32c = records_crc(produced_values(batch), batch.records)
    return LogSegment.FromString(batch_to_frame(batch)).batches[0]


def encoded(**columns: object) -> RecordBatch:
    defaults: dict[str, object] = {
        "timestamps_ms": 1,
        "producer_id": 1,
        "producer_epoch": 0,
        "base_sequence": 0,
    }
    return encode_batch(**(defaults | columns))  # type: ignore[arg-type]


@pytest.mark.parametrize("codec", Codec)
def test_columns_come_back_as_they_were_given(codec: Codec) -> None:
    headers = {1: [("a", b"1"), ("a", b"2")]}
    batch = encoded(
        values=[b"x", None, b""],
        keys=[None, b"k", b""],
        timestamps_ms=[7, 5, 9],
        headers=headers,
        codec=codec,
    )
    columns = decode_batch(in_log(batch))
    assert columns.values == [b"x", None, b""]
    assert columns.keys == [None, b"k", b""]
    assert columns.timestamps_ms == [7, 5, 9]
    assert columns.headers == headers
    assert list(columns.offsets) == [50, 51, 52]
    assert (columns.base_offset, columns.leader_epoch, len(columns)) == (50, 4, 3)


def test_records_without_keys_have_no_key_column() -> None:
    assert decode_batch(in_log(encoded(values=[b"x"]))).keys is None


def test_one_timestamp_for_all_is_one_for_each() -> None:
    assert decode_batch(in_log(encoded(values=[b"x"] * 3, timestamps_ms=8))).timestamps_ms == [8, 8, 8]


def test_the_time_of_appending_stands_for_every_record_where_the_leader_says_so() -> None:
    batch = in_log(encoded(values=[b"x"] * 2, timestamps_ms=[1, 2]), log_append_time=True)
    assert decode_batch(batch).timestamps_ms == [9_000, 9_000]


def test_offsets_that_compaction_left_have_gaps() -> None:
    records = Records(values=[b"a", b"b"], offset_deltas=[1, 7])
    batch = in_log_with(records, base_offset=100, last_offset_delta=9)
    assert decode_batch(batch).offsets == [101, 107]


def test_an_empty_batch_that_compaction_left_has_no_records() -> None:
    columns = decode_batch(in_log_with(Records(), base_offset=100, last_offset_delta=9))
    assert (len(columns), list(columns.offsets)) == (0, [])


@pytest.mark.parametrize(
    ("records", "claims"),
    [
        (Records(values=[b"a"]), {"record_count": 2}),
        (Records(values=[b"a"]), {"record_count": 0, "last_offset_delta": 0}),
        (Records(values=[b"a"], keys=[b"k", b"k"]), {}),
        (Records(values=[b"a"], timestamp_deltas=[0, 1]), {}),
        (Records(values=[b"a"], null_values=[0]), {}),
        (Records(values=[b""], null_values=[1]), {}),
        (Records(values=[b"", b""], null_values=[1, 0]), {}),
        (Records(values=[b"", b""], null_values=[0, 0]), {}),
        (Records(values=[b""], null_keys=[0]), {}),
        (Records(values=[b""], headers=[RecordHeaders(index=1)]), {}),
        (Records(values=[b""], headers=[RecordHeaders(names=["a"])]), {}),
        (Records(values=[b""], headers=[RecordHeaders(), RecordHeaders()]), {}),
        (Records(values=[b"a", b"b"], offset_deltas=[1]), {}),
        (Records(values=[b"a", b"b"], offset_deltas=[1, 1]), {"last_offset_delta": 5}),
        (Records(values=[b"a", b"b"], offset_deltas=[3, 6]), {"last_offset_delta": 5}),
        (Records(values=[b"a", b"b"]), {"last_offset_delta": 5}),
    ],
)
def test_columns_that_contradict_each_other_are_never_handed_out(
    records: Records, claims: dict[str, int]
) -> None:
    with pytest.raises(CorruptDataError, match="offset 77"):
        decode_batch(in_log_with(records, base_offset=77, **claims))


@pytest.mark.parametrize("position", [7, 60, FRAME_HEADER_BYTES + 1])
def test_a_changed_byte_is_found_and_the_offset_named(position: int) -> None:
    batch = encoded(values=[b"records"])
    frame = bytearray(batch_to_frame(in_log(batch)))
    frame[position] ^= 1
    changed = LogSegment.FromString(bytes(frame)).batches[0]
    with pytest.raises(CorruptDataError, match=f"batch at offset {changed.base_offset}: .*checksum"):
        decode_batch(changed)


def test_a_frame_that_was_verified_before_is_not_verified_again() -> None:
    batch = in_log(encoded(values=[b"records"]))
    batch.header_crc32c ^= 1
    assert decode_batch(batch, check=False).values == [b"records"]


def test_records_larger_than_the_readers_bound_are_not_opened() -> None:
    batch = in_log(encoded(values=[bytes(100_000)], codec=Codec.ZSTD))
    with pytest.raises(CorruptDataError, match="more than 5000 bytes"):
        decode_batch(batch, max_bytes=5_000)


def test_what_only_a_newer_version_reads_is_not_called_corrupt() -> None:
    with pytest.raises(UnknownCodecError):
        decode_batch(in_log_with(Records(values=[b"a"]), attributes=5))
    with pytest.raises(UnsupportedFeatureError):
        decode_batch(in_log_with(Records(values=[b"a"]), leader_flags=2))
