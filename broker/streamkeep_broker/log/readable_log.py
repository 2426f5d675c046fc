"""What a log shows: where it begins and ends, what is known of it, its frames. Nothing here changes it.

`PartitionLog` fills it in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from streamkeep_broker.log.file_cache import FileClosedError
from streamkeep_broker.log.leader_epochs import EpochEnd, LeaderEpochs
from streamkeep_broker.log.lookup import FoundOffset, LogView, find_max_timestamp, find_timestamp
from streamkeep_broker.log.producer_states import ProducerStates
from streamkeep_broker.log.read import LogReader, LogSlice, ReadCursor
from streamkeep_broker.log.segment import Defect, Segment
from streamkeep_broker.log.segments import Segments
from streamkeep_common.errors import CorruptLogError, OffsetOutOfRangeError, StorageFailedError
from streamkeep_common.records.frame import unpack_header
from streamkeep_common.seams import Disk
from streamkeep_common.settings import TopicSettings

HASHED_AT_ONCE_BYTES = 1 << 20

Key = tuple[bytes, int]
"""Topic id and number of a partition."""


class HashedFrames(NamedTuple):
    """What a range of a log holds: SHA-256 of the frames' bytes, the offsets they span, their size."""

    sha256: bytes
    from_offset: int
    to_offset: int
    size_bytes: int


class ReadableLog:
    """One log to look at and to read. All calls are on the event loop; cold bytes are read on a worker."""

    __slots__ = (
        "_defects",
        "_disk",
        "_reader",
        "_segments",
        "flushed_end_offset",
        "high_watermark",
        "leader_epochs",
        "log_end_offset",
        "log_start_offset",
        "partition",
        "path",
        "producers",
        "settings",
        "topic",
        "topic_id",
    )

    topic_id: bytes
    topic: str
    partition: int
    path: Path
    settings: TopicSettings
    log_start_offset: int
    high_watermark: int
    flushed_end_offset: int
    log_end_offset: int
    leader_epochs: LeaderEpochs
    producers: ProducerStates
    _disk: Disk
    _segments: Segments
    _reader: LogReader
    _defects: list[Defect]

    def __repr__(self) -> str:
        return f"<PartitionLog {self.name} {self.log_start_offset}..{self.log_end_offset}>"

    @property
    def name(self) -> str:
        """topic-partition, for people."""
        return f"{self.topic}-{self.partition}"

    @property
    def key(self) -> Key:
        """Whose log it is, everywhere."""
        return self.topic_id, self.partition

    @property
    def acknowledged_end(self) -> int:
        """Up to where this replica acknowledges, by the topic's durability."""
        return self.flushed_end_offset if self.settings.durability == "fsync" else self.log_end_offset

    @property
    def defects(self) -> Sequence[Defect]:
        """What recovery found corrupt. While there is any, nothing can be appended."""
        return self._defects

    def check_sound(self) -> None:
        """Raise CorruptLogError while the log has defects."""
        if self._defects:
            raise CorruptLogError(str(self._defects[0]))

    @property
    def segments(self) -> Sequence[Segment]:
        """By base offset, never none. Not to be changed."""
        return self._segments.all

    @property
    def size_bytes(self) -> int:
        """Of all segments' frames."""
        return self._segments.size_bytes

    @property
    def largest_timestamp_ms(self) -> int:
        """The greatest timestamp in the segment that is written; -1 if that is empty."""
        index = self._segments.active.index
        assert index is not None
        return index.largest_timestamp_ms

    @property
    def last_epoch(self) -> int:
        """The leader epoch of the last record, 0 if there is none: a leader's epoch that has not written does
        not count."""
        return self.leader_epochs.at(self.log_end_offset - 1)

    def epoch_end(self, leader_epoch: int) -> EpochEnd:
        """The greatest epoch known here that is not above the one asked about, and where it ends (KIP-101).

        Epoch 0, which ends where the log's first one begins, if all are later.
        """
        return self.leader_epochs.end_of(
            leader_epoch, log_start_offset=self.log_start_offset, log_end_offset=self.log_end_offset
        )

    # --- reading ---

    async def read(
        self, offset: int, *, max_bytes: int, end_offset: int, cursor: ReadCursor | None = None
    ) -> LogSlice:
        """Whole frames from the one that contains `offset` on: at least one, none at or past `end_offset`.

        More than `max_bytes` only if the first frame is larger. Empty if there is nothing below `end_offset`.
        Headers are verified; records only of what a new `cursor` begins with.
        Raises OffsetOutOfRangeError below the log start or past the log end; CorruptLogError, which
        names file and byte, where a frame is not what it should be; StorageFailedError if the log was deleted
        meanwhile.
        """
        self.check_in_range(offset)
        if offset >= min(end_offset, self.log_end_offset):
            return LogSlice(b"", offset)
        with self._files_may_go(offset):
            return await self._reader.read(
                self._segments.all,
                offset,
                max_bytes=max_bytes,
                end_offset=end_offset,
                cursor=cursor,
                interval_bytes=self.settings.index_interval_bytes,
            )

    async def find_timestamp(self, timestamp_ms: int) -> FoundOffset | None:
        """The first readable record, in offset order, with that timestamp or a later one.

        Raises CorruptLogError; StorageFailedError if what it searched was removed meanwhile.
        """
        with self._files_may_go(self.log_start_offset):
            return await find_timestamp(self._reader, self._view(), timestamp_ms)

    async def find_max_timestamp(self) -> FoundOffset | None:
        """The first readable record with the greatest timestamp. Raises as `find_timestamp`."""
        with self._files_may_go(self.log_start_offset):
            return await find_max_timestamp(self._reader, self._view())

    @contextmanager
    def _files_may_go(self, offset: int) -> Iterator[None]:
        """Retention or deletion may take a segment and close its file while it is read."""
        try:
            yield
        except (FileNotFoundError, FileClosedError) as error:
            self.check_in_range(offset)
            gone = f"{self.name} lost a file while it was read: {error}"
            raise StorageFailedError(gone) from error

    def check_in_range(self, offset: int) -> None:
        """Raise OffsetOutOfRangeError unless a reader may stand there: at any record, or at the log end."""
        if not self.log_start_offset <= offset <= self.log_end_offset:
            raise OffsetOutOfRangeError(
                f"offset {offset} of {self.name} is outside {self.log_start_offset} to {self.log_end_offset}"
            )

    def _view(self) -> LogView:
        return LogView(
            self._disk,
            tuple(self._segments.all),
            self.log_start_offset,
            self.high_watermark,
            self.settings.index_interval_bytes,
        )

    async def hash_frames(self, from_offset: int, to_offset: int) -> HashedFrames:
        """Hash the bytes of the frames from the one that contains `from_offset` up to the last that ends at
        or below `to_offset`, whose records are verified. Raises as `read`.
        """
        digest, size = hashlib.sha256(), 0
        offset, cursor = from_offset, ReadCursor(verifies_all=True)
        while offset < to_offset:
            piece = await self.read(
                offset, max_bytes=HASHED_AT_ONCE_BYTES, end_offset=to_offset, cursor=cursor
            )
            if not piece.data:
                break
            if not size:
                from_offset = unpack_header(piece.data).base_offset
            await self._reader.run(partial(digest.update, piece.data))
            size += len(piece.data)
            offset = piece.next_offset
        return HashedFrames(digest.digest(), from_offset, offset, size)
