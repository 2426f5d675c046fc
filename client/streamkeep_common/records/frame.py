"""Frames: a record batch behind a header of 100 bytes, packed and unpacked with one struct.

The layout stands in records.proto. Two checksums cover a frame: the producer's over its own fields and the
records, the leader's over the whole header. Lengths and tags are outside both, but have one right value each.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from crc32c import crc32c

from streamkeep_common.errors import CorruptBatchError, UnsupportedFeatureError
from streamkeep_common.limits import MAX_BATCH_BYTES
from streamkeep_common.records.codecs import CODEC_MASK
from streamkeep_proto.v1.records_pb2 import RecordBatch

# RecordBatch.leader_flags
LAYOUT_VERSION = 1
LAYOUT_MASK = 0xFF
LOG_APPEND_TIME = 1 << 8

# RecordBatch.attributes
TRANSACTIONAL = 1 << 4
CONTROL = 1 << 5
KNOWN_ATTRIBUTES = CODEC_MASK | TRANSACTIONAL | CONTROL

# Each field's tag and value, in order; the first and the last value are lengths.
_FRAME = struct.Struct("<BI BqBiBIBq BI BIBIBIBqBqBqBiBi BI BI")
_TAGS = (0x0A, 0x09, 0x15, 0x1D, 0x21, 0x2D, 0x35, 0x3D, 0x45, 0x49, 0x51, 0x59, 0x65, 0x6D, 0x75, 0x7A)
_HEADER_VALUES = struct.Struct("<qiIq IIIqqqii I")  # fields 1-4, 6-13, 14
_PRODUCED = struct.Struct("<IIIqqqii")  # fields 6-13

FRAME_HEADER_BYTES = _FRAME.size
_OUTER_BYTES = 5  # what stands before the batch itself: its tag and its length
_BATCH_OVERHEAD_BYTES = FRAME_HEADER_BYTES - _OUTER_BYTES

assert FRAME_HEADER_BYTES == 100, "the layout on disk is fixed"

Buffer = bytes | bytearray | memoryview
StampedValues = tuple[int, int, int, int]
"""Fields 1 to 4 of RecordBatch."""
ProducedValues = tuple[int, int, int, int, int, int, int, int]
"""Fields 6 to 13 of RecordBatch."""


class FrameHeader(NamedTuple):
    """What stands before a frame's records: the fields of RecordBatch, and the records' size."""

    base_offset: int
    leader_epoch: int
    leader_flags: int
    append_time_ms: int
    header_crc32c: int
    attributes: int
    last_offset_delta: int
    record_count: int
    base_timestamp_ms: int
    max_timestamp_ms: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records_crc32c: int
    records_bytes: int

    @property
    def frame_bytes(self) -> int:
        """Size of the whole frame."""
        return FRAME_HEADER_BYTES + self.records_bytes

    @property
    def next_offset(self) -> int:
        """The offset after the batch's last."""
        return self.base_offset + self.last_offset_delta + 1

    @property
    def largest_timestamp_ms(self) -> int:
        """The greatest timestamp that a reader sees in the batch."""
        return self.append_time_ms if self.leader_flags & LOG_APPEND_TIME else self.max_timestamp_ms


def unpack_header(buffer: Buffer, position: int = 0) -> FrameHeader:
    """The header of the frame at `position`; the records behind it are not looked at.

    CorruptBatchError unless tags, lengths and header checksum are right; UnsupportedFeatureError if they are
    but the layout is a newer one.
    """
    if len(buffer) - position < FRAME_HEADER_BYTES:
        raise CorruptBatchError(f"a frame header takes {FRAME_HEADER_BYTES} bytes, fewer are left")
    items = _FRAME.unpack_from(buffer, position)
    if items[::2] != _TAGS:
        raise CorruptBatchError("these bytes are not a frame header")
    batch_bytes, records_bytes = _from_padded_varint(items[1]), _from_padded_varint(items[-1])
    if batch_bytes != records_bytes + _BATCH_OVERHEAD_BYTES:
        raise CorruptBatchError("the two lengths in the frame header contradict each other")
    if records_bytes > MAX_BATCH_BYTES - FRAME_HEADER_BYTES:
        raise CorruptBatchError(f"the frame claims {records_bytes} bytes of records, more than any batch has")
    header = FrameHeader._make((*items[3:-1:2], records_bytes))
    _verify_header(header)
    return header


def pack_header(header: FrameHeader) -> bytes:
    """The 100 bytes before the records. The header checksum is computed; the one given is not used."""
    return _pack(header[:4], header[5:13], header.records_crc32c, header.records_bytes)


def stamp(
    batch: RecordBatch,
    payload: bytes,
    *,
    base_offset: int,
    leader_epoch: int,
    append_time_ms: int,
    log_append_time: bool,
) -> bytes:
    """The header that a leader puts before a producer's batch. `payload` is `batch.records`, read once."""
    leader_flags = LAYOUT_VERSION | LOG_APPEND_TIME if log_append_time else LAYOUT_VERSION
    stamped = (base_offset, leader_epoch, leader_flags, append_time_ms)
    return _pack(stamped, produced_values(batch), batch.records_crc32c, len(payload))


def batch_to_frame(batch: RecordBatch) -> bytes:
    """The whole frame of a batch with its leader's fields as they are; the header checksum is computed."""
    payload = batch.records
    return pack_header(_header_of(batch, len(payload))) + payload


def produced_values(batch: RecordBatch) -> ProducedValues:
    """Fields 6 to 13 of a batch: what the producer says of its records."""
    return (
        batch.attributes,
        batch.last_offset_delta,
        batch.record_count,
        batch.base_timestamp_ms,
        batch.max_timestamp_ms,
        batch.producer_id,
        batch.producer_epoch,
        batch.base_sequence,
    )


def records_crc(produced: ProducedValues, payload: Buffer) -> int:
    """The producer's checksum: over the values of fields 6 to 13, then the records as they are sent."""
    return crc32c(payload, crc32c(_PRODUCED.pack(*produced)))


def verify_records(header: FrameHeader, payload: Buffer) -> None:
    """CorruptBatchError unless `payload` is what the producer's checksum was made over."""
    if len(payload) != header.records_bytes:
        raise CorruptBatchError(f"the batch has {len(payload)} of {header.records_bytes} bytes of records")
    if records_crc(header[5:13], payload) != header.records_crc32c:
        raise CorruptBatchError("the records do not match their checksum")


def verify_batch(batch: RecordBatch, payload: bytes) -> None:
    """Check a batch parsed from a log against both its checksums. `payload` is `batch.records`, read once.

    CorruptBatchError and UnsupportedFeatureError as unpack_header and verify_records.
    """
    header = _header_of(batch, len(payload))
    _verify_header(header)
    verify_records(header, payload)


def _header_of(batch: RecordBatch, records_bytes: int) -> FrameHeader:
    return FrameHeader(
        batch.base_offset,
        batch.leader_epoch,
        batch.leader_flags,
        batch.append_time_ms,
        batch.header_crc32c,
        *produced_values(batch),
        batch.records_crc32c,
        records_bytes,
    )


def _verify_header(header: FrameHeader) -> None:
    if crc32c(_HEADER_VALUES.pack(*header[:4], *header[5:14])) != header.header_crc32c:
        raise CorruptBatchError("the frame header does not match its checksum")
    layout = header.leader_flags & LAYOUT_MASK
    if layout != LAYOUT_VERSION:
        raise UnsupportedFeatureError(f"the batch at offset {header.base_offset} has layout version {layout}")


def _pack(stamped: StampedValues, produced: ProducedValues, records_crc32c: int, records_bytes: int) -> bytes:
    assert records_bytes <= MAX_BATCH_BYTES - FRAME_HEADER_BYTES, "batches are bounded before they are framed"
    header_crc32c = crc32c(_HEADER_VALUES.pack(*stamped, *produced, records_crc32c))
    base_offset, leader_epoch, leader_flags, append_time_ms = stamped
    attributes, last_offset_delta, record_count, base_timestamp_ms, max_timestamp_ms = produced[:5]
    producer_id, producer_epoch, base_sequence = produced[5:]
    # fmt: off
    return _FRAME.pack(
        0x0A, _to_padded_varint(records_bytes + _BATCH_OVERHEAD_BYTES),
        0x09, base_offset,
        0x15, leader_epoch,
        0x1D, leader_flags,
        0x21, append_time_ms,
        0x2D, header_crc32c,
        0x35, attributes,
        0x3D, last_offset_delta,
        0x45, record_count,
        0x49, base_timestamp_ms,
        0x51, max_timestamp_ms,
        0x59, producer_id,
        0x65, producer_epoch,
        0x6D, base_sequence,
        0x75, records_crc32c,
        0x7A, _to_padded_varint(records_bytes),
    )
    # fmt: on


def _to_padded_varint(value: int) -> int:
    """A number below 2**28 as a varint of four bytes, read as a little-endian integer."""
    low = (value & 0x7F) | (value & 0x3F80) << 1
    high = (value & 0x1F_C000) << 2 | (value & 0xFE0_0000) << 3
    return 0x80_8080 | low | high


def _from_padded_varint(spread: int) -> int:
    if spread & 0x8080_8080 != 0x80_8080:
        raise CorruptBatchError("a length in the frame header is not padded to four bytes")
    low = (spread & 0x7F) | (spread & 0x7F00) >> 1
    high = (spread & 0x7F_0000) >> 2 | (spread & 0x7F00_0000) >> 3
    return low | high
