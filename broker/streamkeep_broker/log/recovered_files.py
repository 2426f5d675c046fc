"""The files of a log that is being recovered, as their names tell of them: segments, seals, leftovers.

Knows nothing of frames, nor of what is torn. Blocking; raises OSError.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streamkeep_broker.log.files import (
    LOG_SUFFIX,
    SEGMENT_SUFFIXES,
    START_SUFFIX,
    Files,
    leftover_names,
    offset_of,
    offset_path,
)
from streamkeep_broker.log.segment import Segment
from streamkeep_broker.log.segment_files import is_sealed, seal, write_indexes
from streamkeep_common.seams import Disk, DiskFile


class RecoveredFiles:
    """One log's directory, listed once, when this is made."""

    def __init__(self, disk: Disk, files: Files, directory: Path) -> None:
        self._disk = disk
        self._files = files
        self._names = disk.list_directory(directory)
        self.directory = directory
        self.bases = self._offsets_of(LOG_SUFFIX)
        """Where the segments that are still there begin, rising."""
        self.names_changed = False
        """Something was removed or renamed, so that the directory is to be synced."""

    def promised_starts(self) -> list[int]:
        """Where the log may begin by its `.start` files."""
        return self._offsets_of(START_SUFFIX)

    def number_of(self, offset: int) -> int:
        """The segment that holds an offset; the first one if none does."""
        return max((number for number, base in enumerate(self.bases) if base <= offset), default=0)

    def path_of(self, base_offset: int) -> Path:
        """The segment's frames."""
        return offset_path(self.directory, base_offset, LOG_SUFFIX)

    def unread_segment(self, number: int) -> Segment:
        """The segment as its name and its size tell of it: it ends where the next begins."""
        base_offset = self.bases[number]
        path = self.path_of(base_offset)
        next_offset = self.bases[number + 1] if number + 1 < len(self.bases) else base_offset
        size = self._disk.file_size(path)
        return Segment(base_offset, self._files.open(path), size=size, next_offset=next_offset, index=None)

    def create_segment(self, base_offset: int) -> Segment:
        """An empty one, whose name is not yet durable."""
        path = self.path_of(base_offset)
        self._disk.open(path, create=True).close()
        return Segment.empty(base_offset, self._files.open(path))

    def remove_segment(self, base_offset: int) -> None:
        """The segment's frames and all that stands beside them."""
        for suffix in SEGMENT_SUFFIXES:
            self._disk.remove_file(offset_path(self.directory, base_offset, suffix))
        self.names_changed = True

    def remove_before(self, log_start_offset: int) -> None:
        """Segments below the log start were given up; a crash may have brought some of their files back."""
        while len(self.bases) > 1 and self.bases[1] <= log_start_offset:
            self.remove_segment(self.bases.pop(0))

    def remove_leftovers(self, segments: Sequence[Segment], log_end_offset: int) -> None:
        """See `leftover_names`; `segments` are those that the log has."""
        bases = [segment.base_offset for segment in segments]
        for name in leftover_names(self._names, bases, log_end_offset):
            self._disk.remove_file(self.directory / name)
            self.names_changed = True

    def is_sealed(self, base_offset: int) -> bool:
        """Whether the segment was whole on disk once."""
        return is_sealed(self._disk, self.directory, base_offset)

    def seal(self, segment: Segment) -> None:
        """Put all of the segment on disk, and say so, unless that has been said before."""
        if self.is_sealed(segment.base_offset):
            return
        segment.file.sync()
        indexes: list[DiskFile] = []
        write_indexes(self._files, segment, indexes)
        for file in indexes:
            file.sync()
            file.close()
        seal(self._disk, segment)
        self.names_changed = True

    def sync_names(self) -> None:
        """Make durable which files there are."""
        self._disk.sync_directory(self.directory)

    def _offsets_of(self, suffix: str) -> list[int]:
        offsets = [offset_of(name, suffix) for name in self._names]
        return sorted(offset for offset in offsets if offset is not None)
