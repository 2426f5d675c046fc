"""Finds records by their timestamps, to the record: the indexes name a segment and a place to begin, headers
name the batch, and that one batch is decoded.

Only readable records count: from the log start up to the high watermark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from streamkeep_broker.log.frame_walk import BadFrameError, Frame, FrameWalk
from streamkeep_broker.log.read import LogReader, corrupt
from streamkeep_broker.log.segment import Segment
from streamkeep_broker.log.segment_files import read_largest
from streamkeep_broker.log.time_index import NO_TIMESTAMP, TimedFrame
from streamkeep_common.errors import CorruptDataError
from streamkeep_common.records.decode import decode_batch
from streamkeep_common.seams import Disk

T = TypeVar("T")


class FoundOffset(NamedTuple):
    """A record, its timestamp in ms since 1970-01-01 UTC, and the leader epoch it was written under."""

    offset: int
    timestamp_ms: int
    leader_epoch: int


class LogView(NamedTuple):
    """A log as a lookup sees it: records from `start_offset` up to, not including, `end_offset`."""

    disk: Disk
    segments: Sequence[Segment]
    start_offset: int
    end_offset: int
    interval_bytes: int

    def readable(self) -> list[Segment]:
        """The segments that have any readable record."""
        return [
            segment
            for segment in self.segments
            if segment.next_offset > self.start_offset and segment.base_offset < self.end_offset
        ]


async def find_timestamp(reader: LogReader, view: LogView, timestamp_ms: int) -> FoundOffset | None:
    """The first record, in offset order, with that timestamp or a later one. Raises CorruptLogError."""
    for segment in view.readable():
        largest = await _largest(reader, view, segment)
        if largest.timestamp_ms < timestamp_ms:
            continue
        index = await reader.index_of(segment, view.interval_bytes)
        position = index.offsets.floor(index.times.before(timestamp_ms).offset).position
        search = partial(_first_from, view, segment, segment.size, position, timestamp_ms)
        found = await reader.run(partial(_naming_damage, segment, search))
        if found is not None:
            return found
    return None


async def find_max_timestamp(reader: LogReader, view: LogView) -> FoundOffset | None:
    """The first record with the greatest timestamp. Raises CorruptLogError."""
    best_segment, best = None, TimedFrame(NO_TIMESTAMP, 0)
    for segment in view.readable():
        largest = await _readable_largest(reader, view, segment)
        if largest.timestamp_ms > best.timestamp_ms:
            best_segment, best = segment, largest
    if best_segment is None:
        return None
    index = await reader.index_of(best_segment, view.interval_bytes)
    position = index.offsets.floor(best.offset).position
    search = partial(_first_from, view, best_segment, best_segment.size, position, best.timestamp_ms)
    return await reader.run(partial(_naming_damage, best_segment, search))


async def _largest(reader: LogReader, view: LogView, segment: Segment) -> TimedFrame:
    """The frame with the segment's greatest timestamp, readable or not."""
    if segment.index is not None:
        return segment.index.largest
    if segment.largest is None:
        segment.largest = await reader.run(partial(read_largest, view.disk, segment))
    if segment.largest is None:
        return (await reader.index_of(segment, view.interval_bytes)).largest
    return segment.largest


async def _readable_largest(reader: LogReader, view: LogView, segment: Segment) -> TimedFrame:
    """The same, of the readable records. The segment's own will do unless it lies outside."""
    largest = await _largest(reader, view, segment)
    if view.start_offset <= largest.offset < view.end_offset:
        return largest
    index = await reader.index_of(segment, view.interval_bytes)
    position = index.offsets.floor(max(view.start_offset, segment.base_offset)).position
    search = partial(_largest_from, view, segment, segment.size, position)
    return await reader.run(partial(_naming_damage, segment, search))


def _first_from(
    view: LogView, segment: Segment, size: int, position: int, timestamp_ms: int
) -> FoundOffset | None:
    walk = FrameWalk(segment.file, end=size)
    for frame in _readable_frames(view, walk, position):
        if frame.header.largest_timestamp_ms < timestamp_ms:
            continue
        for found in _readable_records(view, walk, frame):
            if found.timestamp_ms >= timestamp_ms:
                return found
    return None


def _largest_from(view: LogView, segment: Segment, size: int, position: int) -> TimedFrame:
    walk = FrameWalk(segment.file, end=size)
    best = TimedFrame(NO_TIMESTAMP, segment.base_offset)
    for frame in _readable_frames(view, walk, position):
        timestamp_ms = frame.header.largest_timestamp_ms
        if frame.header.base_offset < view.start_offset:  # begins before the log start: look at what is left
            readable = _readable_records(view, walk, frame)
            timestamp_ms = max((found.timestamp_ms for found in readable), default=NO_TIMESTAMP)
        if timestamp_ms > best.timestamp_ms:
            best = TimedFrame(timestamp_ms, frame.header.base_offset)
    return best


def _readable_frames(view: LogView, walk: FrameWalk, position: int) -> Iterator[Frame]:
    for frame in walk.frames(position):
        if frame.header.base_offset >= view.end_offset:
            return
        if frame.header.next_offset > view.start_offset:
            yield frame


def _readable_records(view: LogView, walk: FrameWalk, frame: Frame) -> Iterator[FoundOffset]:
    columns = decode_batch(walk.batch(frame), check=False)
    for offset, timestamp_ms in zip(columns.offsets, columns.timestamps_ms, strict=True):
        if view.start_offset <= offset < view.end_offset:
            yield FoundOffset(offset, timestamp_ms, columns.leader_epoch)


def _naming_damage(segment: Segment, search: Callable[[], T]) -> T:
    try:
        return search()
    except BadFrameError as bad:
        raise corrupt(segment, bad.position, bad.reason) from bad
    except CorruptDataError as error:
        raise corrupt(segment, 0, error.message) from error
