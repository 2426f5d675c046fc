"""Walks the frames of a segment file, reading it in chunks. Knows nothing of indexes, logs or recovery."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from streamkeep_common.errors import CorruptBatchError
from streamkeep_common.records.frame import FRAME_HEADER_BYTES, FrameHeader, unpack_header, verify_records
from streamkeep_common.seams import DiskFile
from streamkeep_proto.v1.records_pb2 import LogSegment, RecordBatch

SCAN_CHUNK_BYTES = 1 << 20
"""For reading all of a segment."""

WALK_CHUNK_BYTES = 16 << 10
"""For reading headers only: payloads that end beyond a chunk are skipped, not read."""

_LENGTH = rb"[\x80-\xff]{3}[\x00-\x7f]"
_FIXED_FIELDS = (
    rb"\x09.{8}\x15.{4}\x1d.{4}\x21.{8}\x2d.{4}\x35.{4}\x3d.{4}\x45.{4}"
    rb"\x49.{8}\x51.{8}\x59.{8}\x65.{4}\x6d.{4}\x75.{4}"
)
# A lookahead, because what looks like a header may begin within what looks like another.
_LOOKS_LIKE_HEADER = re.compile(rb"(?=\x0a" + _LENGTH + _FIXED_FIELDS + rb"\x7a" + _LENGTH + rb")", re.DOTALL)


class BadFrameError(Exception):
    """The bytes at `position` are not the whole, unchanged frame that should be there."""

    def __init__(
        self, position: int, reason: str, header: FrameHeader | None = None, *, is_short: bool = False
    ) -> None:
        super().__init__(f"byte {position}: {reason}")
        self.position = position
        self.reason = reason
        self.header = header
        """Where the header is right and only the records are not."""
        self.is_short = is_short
        """The file ends before the frame does, and what there is of its header is not wrong."""


class Frame(NamedTuple):
    """A frame's place in bytes from the start of the file, and its header."""

    position: int
    header: FrameHeader

    @property
    def end(self) -> int:
        return self.position + self.header.frame_bytes


class FrameWalk:
    """Reads frames of one file up to byte `end`. Blocking."""

    def __init__(self, file: DiskFile, *, end: int, chunk_bytes: int = WALK_CHUNK_BYTES) -> None:
        self._file = file
        self._end = end
        self._chunk_bytes = chunk_bytes
        self._chunk = b""
        self._chunk_position = 0

    def frame(self, position: int) -> Frame:
        """The frame at `position`, its header verified. Raises BadFrameError."""
        start = self._read(position, FRAME_HEADER_BYTES)
        try:
            header = unpack_header(start)
        except CorruptBatchError as error:
            is_short = len(start) < FRAME_HEADER_BYTES
            raise BadFrameError(position, error.message, is_short=is_short) from error
        frame = Frame(position, header)
        if frame.end > self._end:
            reason = f"{frame.end - self._end} bytes of the frame are missing"
            raise BadFrameError(position, reason, header, is_short=True)
        return frame

    def payload(self, frame: Frame) -> memoryview:
        """The frame's records, verified. Raises BadFrameError."""
        header = frame.header
        payload = self._read(frame.position, header.frame_bytes)[FRAME_HEADER_BYTES:]
        try:
            verify_records(header, payload)
        except CorruptBatchError as error:
            raise BadFrameError(frame.position, error.message, header) from error
        return payload

    def batch(self, frame: Frame) -> RecordBatch:
        """The frame as a message, its records verified. Raises BadFrameError."""
        self.payload(frame)
        return LogSegment.FromString(bytes(self._read(frame.position, frame.header.frame_bytes))).batches[0]

    def frames(self, position: int) -> Iterator[Frame]:
        """All frames from the one at `position` on, headers verified. Raises BadFrameError."""
        while position < self._end:
            frame = self.frame(position)
            yield frame
            position = frame.end

    def find_header(self, position: int, *, min_offset: int) -> Frame | None:
        """The first valid header from a byte on, at any byte, that claims `min_offset` or more."""
        while position < self._end:
            window = self._read(position, SCAN_CHUNK_BYTES)
            for match in _LOOKS_LIKE_HEADER.finditer(window):
                try:
                    header = unpack_header(window, match.start())
                except CorruptBatchError:  # only looked like one
                    continue
                if header.base_offset >= min_offset:
                    return Frame(position + match.start(), header)
            position += max(len(window) - FRAME_HEADER_BYTES + 1, 1)
        return None

    def _read(self, position: int, size: int) -> memoryview:
        """Up to `size` bytes, fewer only at the end; out of the chunk in memory if that has them."""
        size = min(size, self._end - position)
        start = position - self._chunk_position
        if start < 0 or start + size > len(self._chunk):
            wanted = min(max(size, self._chunk_bytes), self._end - position)
            self._chunk = self._file.read(position, wanted)
            self._chunk_position = position
            start = 0
        return memoryview(self._chunk)[start : start + size]
