from __future__ import annotations

import pytest

from streamkeep_common.errors import BatchTooLargeError
from streamkeep_common.limits import (
    MAX_BATCH_BYTES,
    MAX_HEADERS_PER_RECORD,
    MAX_RECORDS_PER_BATCH,
    MAX_TIMESTAMP_MS,
)
from streamkeep_common.records import Codec, encode_batch
from streamkeep_proto.v1.records_pb2 import RecordBatch, RecordHeaders, Records

PRODUCER = {"producer_id": 7, "producer_epoch": 1, "base_sequence": 30}


def records_of(batch: RecordBatch) -> Records:
    return Records.FromString(batch.records)


def test_a_batch_of_values_alone_holds_nothing_else() -> None:
    batch = encode_batch(values=[b"a", b"", b"c"], timestamps_ms=5, **PRODUCER)
    assert records_of(batch) == Records(values=[b"a", b"", b"c"])
    assert (batch.record_count, batch.last_offset_delta) == (3, 2)
    assert (batch.base_timestamp_ms, batch.max_timestamp_ms) == (5, 5)
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (7, 1, 30)
    assert (batch.base_offset, batch.leader_epoch, batch.leader_flags, batch.header_crc32c) == (0, 0, 0, 0)


def test_nulls_are_not_empty_bytes() -> None:
    batch = encode_batch(values=[None, b"", b"c"], keys=[b"", None, b"k"], timestamps_ms=5, **PRODUCER)
    expected = Records(keys=[b"", b"", b"k"], values=[b"", b"", b"c"], null_keys=[1], null_values=[0])
    assert records_of(batch) == expected


def test_keys_that_are_all_null_are_no_keys() -> None:
    batch = encode_batch(values=[b"a", b"b"], keys=[None, None], timestamps_ms=5, **PRODUCER)
    assert records_of(batch) == Records(values=[b"a", b"b"])


def test_timestamps_are_kept_as_differences_from_the_first() -> None:
    batch = encode_batch(values=[b"a"] * 3, timestamps_ms=[100, 90, 130], **PRODUCER)
    assert records_of(batch).timestamp_deltas == [0, -10, 30]
    assert (batch.base_timestamp_ms, batch.max_timestamp_ms) == (100, 130)


def test_equal_timestamps_take_no_room() -> None:
    listed = encode_batch(values=[b"a"] * 3, timestamps_ms=[100] * 3, **PRODUCER)
    assert listed == encode_batch(values=[b"a"] * 3, timestamps_ms=100, **PRODUCER)


def test_headers_stand_by_rising_index_and_empty_ones_not_at_all() -> None:
    headers = {2: [("b", b"2"), ("a", b"1"), ("b", b"")], 1: [], 0: [("trace", b"\xff")]}
    batch = encode_batch(values=[b"v"] * 3, timestamps_ms=1, headers=headers, **PRODUCER)
    assert list(records_of(batch).headers) == [
        RecordHeaders(index=0, names=["trace"], values=[b"\xff"]),
        RecordHeaders(index=2, names=["b", "a", "b"], values=[b"2", b"1", b""]),
    ]


@pytest.mark.parametrize("size", [0, 1, 100, 1_000, 70_000])
def test_serializing_in_pieces_gives_the_bytes_of_one_message(size: int) -> None:
    values: list[bytes | None] = [
        bytes([number % 256]) * size for number in range(3_000 if size <= 1_000 else 20)
    ]
    keys: list[bytes | None] = [b"%d" % number for number in range(len(values))]
    batch = encode_batch(values=values, keys=keys, timestamps_ms=list(range(len(values))), **PRODUCER)
    whole = Records(keys=keys, values=values, timestamp_deltas=range(len(values)))  # type: ignore[arg-type]
    assert batch.records == whole.SerializeToString()


def test_any_sequence_will_do_as_a_column() -> None:
    batch = encode_batch(values=(b"a", b"b"), keys=(b"k", None), timestamps_ms=range(5, 7), **PRODUCER)
    assert batch == encode_batch(values=[b"a", b"b"], keys=[b"k", None], timestamps_ms=[5, 6], **PRODUCER)


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"values": []}, "1 to"),
        ({"values": [b""] * (MAX_RECORDS_PER_BATCH + 1)}, "1 to"),
        ({"values": [b"a"], "keys": [b"k", b"k"]}, "2 keys for 1 values"),
        ({"values": [b"a"], "timestamps_ms": []}, "0 timestamps for 1 values"),
        ({"values": [b"a"], "timestamps_ms": -1}, "timestamp"),
        ({"values": [b"a"], "timestamps_ms": MAX_TIMESTAMP_MS + 1}, "timestamp"),
        ({"values": [b"a", b"b"], "timestamps_ms": [5, -5]}, "timestamp"),
        ({"values": [b"a"], "headers": {1: [("h", b"")]}}, "headers for record 1 of 1"),
        ({"values": [b"a"], "headers": {-1: [("h", b"")]}}, "headers for record -1"),
        (
            {"values": [b"a"], "headers": {0: [("h", b"")] * (MAX_HEADERS_PER_RECORD + 1)}},
            "a record has at most",
        ),
        (
            {"values": [b"a"] * 132, "headers": dict.fromkeys(range(132), [("h", b"")] * 1_000)},
            "a batch has at most",
        ),
    ],
)
def test_columns_that_make_no_batch_are_a_value_error(columns: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        encode_batch(**({"timestamps_ms": 1} | columns | PRODUCER))  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["text", 7, bytearray(b"x")])
def test_an_item_that_is_not_bytes_is_a_type_error(wrong: object) -> None:
    with pytest.raises(TypeError):
        encode_batch(values=[b"a", wrong], timestamps_ms=1, **PRODUCER)  # type: ignore[list-item]
    with pytest.raises(TypeError):
        encode_batch(values=[None, wrong], timestamps_ms=1, **PRODUCER)  # type: ignore[list-item]


def test_a_batch_that_no_broker_takes_is_refused_here() -> None:
    with pytest.raises(BatchTooLargeError):
        encode_batch(values=[bytes(MAX_BATCH_BYTES)], timestamps_ms=1, **PRODUCER)
    encode_batch(values=[bytes(MAX_BATCH_BYTES)], timestamps_ms=1, codec=Codec.ZSTD, **PRODUCER)


def test_a_batch_that_no_reader_would_open_is_refused_here() -> None:
    with pytest.raises(BatchTooLargeError, match="before compression"):
        encode_batch(values=[bytes(8 * MAX_BATCH_BYTES)], timestamps_ms=1, codec=Codec.ZSTD, **PRODUCER)
