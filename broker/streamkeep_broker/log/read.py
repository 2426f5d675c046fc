"""Reads slices of whole frames. Cached bytes are read on the event loop, cold ones on a worker.

A slice is found by the offset index; where the index is too coarse, by walking frames, whose headers are
verified. Records are not: whoever uses them checks them. Except what a reader begins with: whoever was given
damaged records asks again from there, and finds out whether they are damaged on this disk.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from streamkeep_broker.log.frame_walk import BadFrameError
from streamkeep_broker.log.segment import Segment
from streamkeep_broker.log.segment_files import load_index
from streamkeep_broker.log.segment_index import SegmentIndex
from streamkeep_common.errors import CorruptBatchError, CorruptLogError
from streamkeep_common.records.frame import FRAME_HEADER_BYTES, FrameHeader, unpack_header, verify_records
from streamkeep_common.seams import Disk, Worker

T = TypeVar("T")

LOCATE_BYTES = 16 << 10
"""Read at once when looking for a frame: a few times the usual distance of index entries."""


class LogSlice(NamedTuple):
    """Whole frames as they stand in the log, and the offset to read next."""

    data: bytes
    next_offset: int


class ReadCursor:
    """Where one reader's last slice ended, so that the next needs no search. Give it to every read.

    The records of the first slice are verified, or with `verifies_all` those of every slice.
    """

    __slots__ = ("_verifies_all", "index", "indexed", "next_offset", "position", "segment")

    def __init__(self, *, verifies_all: bool = False) -> None:
        self._verifies_all = verifies_all
        self.segment: Segment | None = None
        self.indexed: Segment | None = None
        self.index: SegmentIndex | None = None
        """Of the segment `indexed`: readers of old segments do not evict each other's."""
        self.position = 0
        self.next_offset = -1

    @property
    def verifies(self) -> bool:
        """The next slice's records are to be verified."""
        return self._verifies_all or self.segment is None

    def position_of(self, segment: Segment, offset: int) -> int | None:
        """Where the frame that begins at `offset` stands, if it is the one after the last slice."""
        return self.position if self.segment is segment and self.next_offset == offset else None

    def move(self, segment: Segment, position: int, next_offset: int) -> None:
        """The last slice ended here."""
        self.segment = segment
        self.position = position
        self.next_offset = next_offset


class _Bound(NamedTuple):
    """A slice must end at a frame's end, at or below a byte, and with offsets below `end_offset`."""

    position: int
    end_offset: int
    next_offset: int | None
    """The offset behind the byte, if it is where the segment's frames end now."""


class LogReader:
    """Reads one log's segments, which are given to each call."""

    __slots__ = ("_disk", "_warm", "_worker")

    def __init__(self, disk: Disk, worker: Worker) -> None:
        self._disk = disk
        self._worker = worker
        self._warm: Segment | None = None  # the old segment whose index was used last, and is kept

    async def read(
        self,
        segments: Sequence[Segment],
        offset: int,
        *,
        max_bytes: int,
        end_offset: int,
        cursor: ReadCursor | None,
        interval_bytes: int,
    ) -> LogSlice:
        """As PartitionLog.read, for an offset within the segments and below `end_offset`."""
        segment = segments[segment_number(segments, offset)]
        position = cursor.position_of(segment, offset) if cursor else None
        if position is None:
            position = await self._locate(segment, offset, interval_bytes)
        check_defect(segment, position)
        bound = _bound_of(segment, position, max_bytes, end_offset)
        data = await self._read(segment, position, bound.position - position)
        first = _header(segment, data, 0, position)
        if not first.base_offset <= offset < first.next_offset:
            raise corrupt(segment, position, f"offset {offset} should be here, not {first.base_offset}")
        if first.next_offset > end_offset:
            return LogSlice(b"", offset)
        if first.frame_bytes > len(data):
            data = await self._read(segment, position, first.frame_bytes)
            size, next_offset = first.frame_bytes, first.next_offset
        elif bound.next_offset is not None:
            size, next_offset = len(data), bound.next_offset
        else:
            index = await self._index_for(cursor, segment, interval_bytes)
            size, next_offset = _fit(segment, data, position, bound, first=first, index=index)
        if size < len(data):
            data = data[:size]
        if cursor is not None:
            if cursor.verifies:
                await self._verify(segment, position, data)
            cursor.move(segment, position + size, next_offset)
        return LogSlice(data, next_offset)

    async def index_of(self, segment: Segment, interval_bytes: int) -> SegmentIndex:
        """The segment's index, read from its files if it is not in memory. Raises CorruptLogError."""
        if segment.index is not None:
            return segment.index
        try:
            index, _ = await self._worker.run(
                partial(load_index, self._disk, segment, interval_bytes=interval_bytes)
            )
        except BadFrameError as bad:
            raise corrupt(segment, bad.position, bad.reason) from bad
        segment.largest = index.largest
        self._keep_warm(segment, index)
        return index

    async def _index_for(
        self, cursor: ReadCursor | None, segment: Segment, interval_bytes: int
    ) -> SegmentIndex:
        if cursor is None or segment.index is not None:
            return await self.index_of(segment, interval_bytes)
        if cursor.index is None or cursor.indexed is not segment:
            cursor.index = await self.index_of(segment, interval_bytes)
            cursor.indexed = segment
        return cursor.index

    async def run(self, work: Callable[[], T]) -> T:
        """Do something that blocks on the worker for reads."""
        return await self._worker.run(work)

    def _keep_warm(self, segment: Segment, index: SegmentIndex) -> None:
        """Only one old segment's index stays in memory: random reads of old data are rare."""
        if self._warm is not None and not self._warm.defects:
            self._warm.index = None
        segment.index = index
        self._warm = segment

    async def _locate(self, segment: Segment, offset: int, interval_bytes: int) -> int:
        """The byte at which the frame that contains `offset` begins."""
        if offset == segment.base_offset:
            return 0
        index = await self.index_of(segment, interval_bytes)
        position = index.offsets.floor(offset).position
        while True:
            check_defect(segment, position)
            data = await self._read(segment, position, min(LOCATE_BYTES, segment.size - position))
            at = 0
            while at == 0 or len(data) - at >= FRAME_HEADER_BYTES:
                header = _header(segment, data, at, position)
                if header.next_offset > offset:
                    return position + at
                at += header.frame_bytes
            position += at

    async def _verify(self, segment: Segment, position: int, data: bytes) -> None:
        """Raise CorruptLogError if records of these frames are not what was written."""
        check = partial(_verify_frames, segment, position, data)
        if len(data) <= LOCATE_BYTES:
            check()
        else:
            await self._worker.run(check)

    async def _read(self, segment: Segment, position: int, size: int) -> bytes:
        data = segment.file.read_cached(position, size)
        if data is None:
            data = await self._worker.run(partial(segment.file.read, position, size))
        if len(data) < size:
            raise corrupt(segment, position + len(data), "the file ends here, its frames do not")
        return data


def segment_number(segments: Sequence[Segment], offset: int) -> int:
    """Which of the segments has the offset."""
    return max(bisect_right(segments, offset, key=_base_offset) - 1, 0)


def check_defect(segment: Segment, position: int) -> None:
    """Raise CorruptLogError if the byte is known to be bad."""
    if segment.defects and (defect := segment.defect_at(position)) is not None:
        raise CorruptLogError(str(defect))


def corrupt(segment: Segment, position: int, reason: str) -> CorruptLogError:
    """The error that names file and byte."""
    return CorruptLogError(f"{segment.path}, byte {position}: {reason}")


def _bound_of(segment: Segment, position: int, max_bytes: int, end_offset: int) -> _Bound:
    limit = position + max(max_bytes, FRAME_HEADER_BYTES)
    for defect in segment.defects:
        if defect.position > position:
            limit = min(limit, defect.position)
    # Where an old segment ends is found by walking its frames: the file may have been cut short.
    if segment.index is not None and limit >= segment.size and segment.next_offset <= end_offset:
        return _Bound(segment.size, end_offset, segment.next_offset)
    return _Bound(min(limit, segment.size), end_offset, None)


def _fit(
    segment: Segment, data: bytes, position: int, bound: _Bound, *, first: FrameHeader, index: SegmentIndex
) -> tuple[int, int]:
    """Size of the longest run of frames in `data` that keeps the bound, and the offset behind it."""
    at, next_offset = first.frame_bytes, first.next_offset
    known = index.offsets.floor_within(bound.position, bound.end_offset)
    if known.position > position + at:
        at, next_offset = known.position - position, known.offset
    while len(data) - at >= FRAME_HEADER_BYTES:
        header = _header(segment, data, at, position)
        if header.next_offset > bound.end_offset or at + header.frame_bytes > len(data):
            break
        at += header.frame_bytes
        next_offset = header.next_offset
    return at, next_offset


def _header(segment: Segment, data: bytes, at: int, position: int) -> FrameHeader:
    try:
        return unpack_header(data, at)
    except CorruptBatchError as error:
        raise corrupt(segment, position + at, error.message) from error


def _verify_frames(segment: Segment, position: int, data: bytes) -> None:
    view = memoryview(data)
    at = 0
    while at < len(data):
        header = _header(segment, data, at, position)
        end = at + header.frame_bytes
        try:
            verify_records(header, view[at + FRAME_HEADER_BYTES : end])
        except CorruptBatchError as error:
            raise corrupt(segment, position + at, error.message) from error
        at = end


def _base_offset(segment: Segment) -> int:
    return segment.base_offset
