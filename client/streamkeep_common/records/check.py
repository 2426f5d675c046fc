"""What a leader must know of a producer's batch before it appends it.

After this check every later reader, on any broker and in any client, can decode the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamkeep_common.errors import (
    BatchTooLargeError,
    CorruptBatchError,
    InvalidBatchError,
    InvalidTimestampError,
    UnsupportedFeatureError,
)
from streamkeep_common.limits import MAX_RECORDS_BYTES, MAX_RECORDS_PER_BATCH, MAX_TIMESTAMP_MS
from streamkeep_common.records.codecs import codec_of
from streamkeep_common.records.frame import (
    CONTROL,
    FRAME_HEADER_BYTES,
    KNOWN_ATTRIBUTES,
    TRANSACTIONAL,
    produced_values,
    records_crc,
)
from streamkeep_common.records.payload import open_records
from streamkeep_proto.v1.records_pb2 import RecordBatch, Records

if TYPE_CHECKING:
    from streamkeep_common.settings.topic import TopicSettings  # which clients need not import


def check_produced_batch(batch: RecordBatch, payload: bytes, *, settings: TopicSettings, now_ms: int) -> None:
    """Return if the batch may be appended to a topic with these settings at `now_ms`.

    `payload` is `batch.records`, read once. Cheap claims first, then the checksum, then the records
    themselves: they are opened once, within bounds, and compared with what the header claims. Producer id and
    sequence are held against what any producer's must be, not against the log. Raises BatchTooLargeError,
    CorruptBatchError, InvalidBatchError, InvalidTimestampError, UnknownCodecError, UnsupportedFeatureError.
    """
    codec = codec_of(batch.attributes)
    _check_claims(batch)
    frame_bytes = FRAME_HEADER_BYTES + len(payload)
    if frame_bytes > settings.max_batch_bytes:
        raise BatchTooLargeError(
            f"the batch takes {frame_bytes} bytes, max_batch_bytes is {settings.max_batch_bytes}"
        )
    if records_crc(produced_values(batch), payload) != batch.records_crc32c:
        raise CorruptBatchError("the records do not match their checksum")
    records = open_records(codec, payload, batch.record_count, max_bytes=MAX_RECORDS_BYTES)
    if records.offset_deltas:
        raise InvalidBatchError("a producer's batch has no offset deltas")
    lowest_ms, highest_ms = _timestamp_range(batch, records)
    if settings.timestamp_type == "create":
        _check_clock(lowest_ms, highest_ms, settings, now_ms)


def _check_claims(batch: RecordBatch) -> None:
    attributes, count = batch.attributes, batch.record_count
    if attributes & ~KNOWN_ATTRIBUTES:
        raise InvalidBatchError(f"attributes {attributes:#x} have bits that mean nothing")
    if attributes & CONTROL:
        raise InvalidBatchError("a producer does not send control batches")
    if attributes & TRANSACTIONAL:
        raise UnsupportedFeatureError("this version has no transactions")
    stamped = (
        batch.base_offset,
        batch.leader_epoch,
        batch.leader_flags,
        batch.append_time_ms,
        batch.header_crc32c,
    )
    if any(stamped):
        raise InvalidBatchError("the fields that the leader stamps are not zero")
    if not 1 <= count <= MAX_RECORDS_PER_BATCH:
        raise InvalidBatchError(f"a batch has 1 to {MAX_RECORDS_PER_BATCH} records, not {count}")
    if batch.last_offset_delta != count - 1:
        raise InvalidBatchError(f"last_offset_delta is {batch.last_offset_delta} for {count} records")
    if batch.producer_id < 1 or batch.producer_epoch < 0 or batch.base_sequence < 0:
        raise InvalidBatchError(
            f"producer id {batch.producer_id}, epoch {batch.producer_epoch}, sequence {batch.base_sequence} "
            "cannot be a producer's"
        )


def _timestamp_range(batch: RecordBatch, records: Records) -> tuple[int, int]:
    """The least and the greatest timestamp, after a look at whether the header tells the truth about them."""
    base_ms = lowest_ms = highest_ms = batch.base_timestamp_ms
    if deltas := list(records.timestamp_deltas):
        if deltas[0] != 0:
            raise InvalidBatchError("base_timestamp_ms is not the first record's timestamp")
        lowest_ms, highest_ms = base_ms + min(deltas), base_ms + max(deltas)
    if highest_ms != batch.max_timestamp_ms:
        raise InvalidBatchError(f"max_timestamp_ms is {batch.max_timestamp_ms}, the greatest is {highest_ms}")
    if lowest_ms < 0 or highest_ms > MAX_TIMESTAMP_MS:
        raise InvalidTimestampError(
            f"timestamps {lowest_ms} to {highest_ms} ms are not within 0 to {MAX_TIMESTAMP_MS}"
        )
    return lowest_ms, highest_ms


def _check_clock(lowest_ms: int, highest_ms: int, settings: TopicSettings, now_ms: int) -> None:
    """The topic's bounds on how far a record's time may be from the broker's; -1 is no bound."""
    before_ms, after_ms = settings.timestamp_before_max_ms, settings.timestamp_after_max_ms
    if before_ms >= 0 and now_ms - lowest_ms > before_ms:
        raise InvalidTimestampError(
            f"timestamp {lowest_ms} is more than {before_ms} ms before the broker's {now_ms}"
        )
    if after_ms >= 0 and highest_ms - now_ms > after_ms:
        raise InvalidTimestampError(
            f"timestamp {highest_ms} is more than {after_ms} ms after the broker's {now_ms}"
        )
