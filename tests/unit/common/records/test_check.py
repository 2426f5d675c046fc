from __future__ import annotations

import pytest

from streamkeep_common.errors import (
    BatchTooLargeError,
    CorruptBatchError,
    InvalidBatchError,
    InvalidTimestampError,
    StreamkeepError,
    UnknownCodecError,
    UnsupportedFeatureError,
)
from streamkeep_common.limits import MAX_HEADERS_PER_RECORD, MAX_RECORDS_BYTES, MAX_RECORDS_PER_BATCH, MIB
from streamkeep_common.records import (
    FRAME_HEADER_BYTES,
    Codec,
    check_produced_batch,
    compress,
    encode_batch,
    payload,
    produced_values,
    records_crc,
)
from streamkeep_common.settings import TopicSettings
from streamkeep_proto.v1.records_pb2 import RecordBatch, RecordHeaders, Records

NOW_MS = 1_357_000_000_000
HOUR_MS = 3_600_000


def check(batch: RecordBatch, **overrides: str) -> None:
    check_produced_batch(batch, batch.records, settings=TopicSettings.of(overrides), now_ms=NOW_MS)


def produced(records: Records | bytes, **claims: int) -> RecordBatch:
    """A batch whose checksum is right, whatever it claims."""
    payload = records if isinstance(records, bytes) else records.SerializeToString()
    count = claims.get("record_count", len(records.values) if isinstance(records, Records) else 1)
    defaults = {
        "record_count": count,
        "last_offset_delta": count - 1,
        "base_timestamp_ms": NOW_MS,
        "max_timestamp_ms": claims.get("base_timestamp_ms", NOW_MS),
        "producer_id": 1,
    }
    batch = RecordBatch(records=payload, **(defaults | claims))  # type: ignore[arg-type]
    batch.records_crc32c = records_crc(produced_values(batch), payload)
    return batch


def timed(*timestamps_ms: int) -> RecordBatch:
    return encode_batch(
        values=[b"v"] * len(timestamps_ms),
        timestamps_ms=timestamps_ms,
        producer_id=1,
        producer_epoch=0,
        base_sequence=0,
    )


@pytest.mark.parametrize("codec", Codec)
def test_what_our_producer_encodes_is_accepted(codec: Codec) -> None:
    batch = encode_batch(
        values=[b"a", None, b""],
        keys=[None, b"k", b""],
        timestamps_ms=[NOW_MS, NOW_MS - 5, NOW_MS + 5],
        headers={1: [("h", b"1")]},
        codec=codec,
        producer_id=1,
        producer_epoch=0,
        base_sequence=2**31 - 1,
    )
    check(batch)


@pytest.mark.parametrize(
    ("claims", "error", "complaint"),
    [
        ({"attributes": 5}, UnknownCodecError, "codec 5"),
        ({"attributes": 7}, UnknownCodecError, "codec 7"),
        ({"attributes": 1 << 3}, InvalidBatchError, "attributes 0x8"),
        ({"attributes": 1 << 31}, InvalidBatchError, "attributes"),
        ({"attributes": 1 << 5}, InvalidBatchError, "control"),
        ({"attributes": 1 << 4}, UnsupportedFeatureError, "transactions"),
        ({"base_offset": 1}, InvalidBatchError, "leader stamps"),
        ({"leader_epoch": 1}, InvalidBatchError, "leader stamps"),
        ({"leader_flags": 1}, InvalidBatchError, "leader stamps"),
        ({"append_time_ms": 1}, InvalidBatchError, "leader stamps"),
        ({"header_crc32c": 1}, InvalidBatchError, "leader stamps"),
        ({"record_count": 0, "last_offset_delta": 0}, InvalidBatchError, "not 0"),
        ({"record_count": MAX_RECORDS_PER_BATCH + 1}, InvalidBatchError, "1 to"),
        ({"record_count": 2**32 - 1, "last_offset_delta": 2**32 - 2}, InvalidBatchError, "1 to"),
        ({"last_offset_delta": 1}, InvalidBatchError, "last_offset_delta"),
        ({"producer_id": 0}, InvalidBatchError, "producer id 0"),
        ({"producer_id": -1}, InvalidBatchError, "producer id -1"),
        ({"producer_epoch": -1}, InvalidBatchError, "epoch -1"),
        ({"base_sequence": -1}, InvalidBatchError, "sequence -1"),
        ({"max_timestamp_ms": NOW_MS + 1}, InvalidBatchError, "max_timestamp_ms"),
        ({"base_timestamp_ms": -1}, InvalidTimestampError, "not within"),
        ({"base_timestamp_ms": 2**62}, InvalidTimestampError, "not within"),
        ({"record_count": 2}, InvalidBatchError, "claims 2 records and has 1"),
    ],
)
def test_a_false_claim_in_the_header_is_refused(
    claims: dict[str, int], error: type[StreamkeepError], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        check(produced(Records(values=[b"v"]), **claims))


@pytest.mark.parametrize(
    "records",
    [
        Records(),
        Records(values=[b"a", b"b"]),
        Records(values=[b"a"], keys=[b"k", b"k"]),
        Records(values=[b"a"], timestamp_deltas=[0, 0]),
        Records(values=[b"a"], timestamp_deltas=[1]),
        Records(values=[b"a"], offset_deltas=[0]),
        Records(values=[b"a"], null_values=[0]),
        Records(values=[b""], null_values=[1]),
        Records(values=[b""], null_values=[0, 0]),
        Records(values=[b""], null_keys=[0]),
        Records(values=[b""], headers=[RecordHeaders(index=1)]),
        Records(values=[b""], headers=[RecordHeaders(names=["a"])]),
        Records(values=[b""], headers=[RecordHeaders(), RecordHeaders()]),
        Records(values=[b""], headers=[RecordHeaders(names=["a"] * 1025, values=[b""] * 1025)]),
        b"\x12",
        b"\x12\x05abc",
        b"plain text",
        b"\xff" * 50,
        b"\x12\x01v\x3a\x03\x12\x01\xff",
    ],
)
def test_records_that_break_the_format_are_refused(records: Records | bytes) -> None:
    with pytest.raises(InvalidBatchError):
        check(produced(records, record_count=1))


def test_a_batch_over_the_topics_limit_is_refused_by_its_size_as_stored() -> None:
    batch = produced(Records(values=[bytes(5_000)]))
    frame_bytes = FRAME_HEADER_BYTES + len(batch.records)
    check(batch, max_batch_bytes=str(frame_bytes))
    with pytest.raises(BatchTooLargeError, match=f"takes {frame_bytes} bytes"):
        check(batch, max_batch_bytes=str(frame_bytes - 1))


def test_a_batch_that_changed_on_the_way_is_refused() -> None:
    batch = produced(Records(values=[b"v"]))
    batch.records = batch.records.replace(b"v", b"w")
    with pytest.raises(CorruptBatchError):
        check(batch)


def test_a_header_field_that_changed_on_the_way_is_refused() -> None:
    batch = produced(Records(values=[b"v"]))
    batch.base_sequence = 1
    with pytest.raises(CorruptBatchError):
        check(batch)


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD])
def test_a_decompression_bomb_is_refused(codec: Codec) -> None:
    bomb = compress(codec, bytes(MAX_RECORDS_BYTES + 1))
    with pytest.raises(InvalidBatchError, match="more than"):
        check(produced(bomb, attributes=codec))


def test_records_that_are_not_what_the_codec_says_are_refused() -> None:
    for codec in [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD]:
        with pytest.raises(InvalidBatchError, match="cannot be decompressed"):
            check(produced(b"not compressed at all", attributes=codec))


def varint(value: int) -> bytes:
    return bytes([value & 0x7F | 0x80]) + varint(value >> 7) if value > 0x7F else bytes([value])


def packed(tag: bytes, size: int) -> bytes:
    return tag + varint(size) + bytes(size)


def inside_a_header(entries: bytes) -> bytes:
    return b"\x3a" + varint(len(entries)) + entries


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x12\x00" * (4 * MIB),
        b"\x0a\x00" * (4 * MIB),
        b"\x3a\x00" * (4 * MIB),
        packed(b"\x1a", 8 * MIB),
        packed(b"\x2a", 8 * MIB),
        b"\x18\x00" * (4 * MIB),
        inside_a_header(b"\x12\x00" * (4 * MIB)),
        inside_a_header(b"\x08\x00" * (4 * MIB)),
        b"\x1b" * (8 * MIB),
        b"\x42\x00" * (4 * MIB),
    ],
    ids=["values", "keys", "headers", "deltas", "nulls", "unpacked", "header", "index", "groups", "unknown"],
)
def test_bytes_that_would_swell_when_parsed_are_refused_before(
    hostile: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NeverParsed:
        @staticmethod
        def FromString(data: bytes) -> Records:  # noqa: N802
            pytest.fail(f"{len(data)} bytes were parsed")

    monkeypatch.setattr(payload, "Records", NeverParsed)
    with pytest.raises(InvalidBatchError):
        check(produced(compress(Codec.ZSTD, hostile), attributes=Codec.ZSTD, record_count=1))


def test_more_headers_than_a_batch_may_have_are_refused_at_any_size() -> None:
    names = [RecordHeaders(index=index, names=[""] * 1_000, values=[b""] * 1_000) for index in range(132)]
    records = Records(values=[b""] * 132, headers=names)
    assert len(records.SerializeToString()) < payload.WALKED_ABOVE_BYTES
    with pytest.raises(InvalidBatchError, match="132000 headers"):
        check(produced(records))
    padded = Records(values=[bytes(2 * MIB)] + [b""] * 131, headers=names)
    with pytest.raises(InvalidBatchError, match="more fields"):
        check(produced(padded))


def test_a_large_batch_that_is_honest_is_accepted() -> None:
    batch = encode_batch(
        values=[b"v" * 500] * 5_000,
        keys=[b"k"] * 5_000,
        timestamps_ms=range(NOW_MS, NOW_MS + 5_000),
        headers={7: [("h", b"")] * MAX_HEADERS_PER_RECORD},
        producer_id=1,
        producer_epoch=0,
        base_sequence=0,
    )
    assert len(batch.records) > 2 * MIB
    check(batch)


def test_fields_of_a_newer_version_are_skipped_in_batches_of_any_size() -> None:
    for size in (100, 2 * MIB):
        records = (
            Records(values=[bytes(size)]).SerializeToString()
            + b"\x42\x01x" * 3
            + b"\x98\x06\x01"
            + b"\xa5\x06abcd"
        )
        check(produced(records, record_count=1))


def test_a_timestamp_too_far_in_the_future_is_refused() -> None:
    check(timed(NOW_MS + HOUR_MS))
    with pytest.raises(InvalidTimestampError, match="after the broker's"):
        check(timed(NOW_MS, NOW_MS + HOUR_MS + 1, NOW_MS))


def test_a_timestamp_too_far_in_the_past_is_refused_where_there_is_a_bound() -> None:
    old = timed(NOW_MS, 0)
    check(old)
    with pytest.raises(InvalidTimestampError, match="before the broker's"):
        check(old, timestamp_before_max_ms="1h")
    check(timed(NOW_MS - HOUR_MS), timestamp_before_max_ms="1h")


def test_there_may_be_no_bound_on_the_future() -> None:
    check(timed(NOW_MS + 10**12), timestamp_after_max_ms="-1")


def test_the_producers_clock_does_not_matter_where_the_leaders_counts() -> None:
    check(timed(NOW_MS + 10 * HOUR_MS, 0), timestamp_type="append", timestamp_before_max_ms="1s")
