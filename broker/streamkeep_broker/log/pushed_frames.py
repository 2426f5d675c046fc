"""What a follower demands of the frames that its leader pushes, before it stores them as they are. Pure.

Both checksums of every frame are right, so nothing changed on the way; offsets follow each other and the log
they are for; leader epochs never fall, and none is above the one under which the follower follows
(KAFKA-18723). Records are not opened: the leader did that.
"""

from __future__ import annotations

from typing import NamedTuple

from streamkeep_common.errors import CorruptBatchError, InvalidBatchError
from streamkeep_common.limits import MAX_RECORDS_PER_BATCH
from streamkeep_common.records.frame import FRAME_HEADER_BYTES, FrameHeader, unpack_header, verify_records


class PushedFrames(NamedTuple):
    """Frames that may be stored, by their headers; never none."""

    headers: list[FrameHeader]
    largest_timestamp_ms: int


def check_pushed_frames(
    frames: bytes, *, log_end_offset: int, last_epoch: int, leader_epoch: int
) -> PushedFrames:
    """All frames of a push, for a log that ends at `log_end_offset` with a record of `last_epoch` (0 = none).

    Raises CorruptBatchError if bytes changed on the way or are missing, InvalidBatchError if the frames do
    not follow on the log, UnsupportedFeatureError if their layout is a newer one.
    """
    view = memoryview(frames)
    size = len(frames)
    headers: list[FrameHeader] = []
    position, largest_timestamp_ms = 0, -1
    expected, epoch = log_end_offset, max(last_epoch, 1)
    while position < size:
        header = unpack_header(frames, position)
        payload_position = position + FRAME_HEADER_BYTES
        position = payload_position + header.records_bytes
        verify_records(header, view[payload_position:position])
        if header.base_offset != expected or not epoch <= header.leader_epoch <= leader_epoch:
            raise _misfit(header, expected=expected, lowest_epoch=epoch, leader_epoch=leader_epoch)
        if header.last_offset_delta >= MAX_RECORDS_PER_BATCH:
            raise InvalidBatchError(f"the frame at offset {expected} claims {header.last_offset_delta} more")
        expected, epoch = header.next_offset, header.leader_epoch
        largest_timestamp_ms = max(largest_timestamp_ms, header.largest_timestamp_ms)
        headers.append(header)
    if not headers:
        raise CorruptBatchError("a push of frames has none")
    return PushedFrames(headers, largest_timestamp_ms)


def _misfit(header: FrameHeader, *, expected: int, lowest_epoch: int, leader_epoch: int) -> InvalidBatchError:
    """No log is compacted, so a gap in offsets is something lost, not something cleaned away."""
    if header.base_offset != expected:
        return InvalidBatchError(f"offset {expected} should follow, the frame has {header.base_offset}")
    return InvalidBatchError(
        f"the frame at offset {expected} is of leader epoch {header.leader_epoch}, outside {lowest_epoch} to "
        f"{leader_epoch}"
    )
