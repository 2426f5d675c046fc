"""One flush: how files and names are made durable. Blocking: runs on the flusher's worker."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from streamkeep_broker.log.file_cache import OUT_OF_DESCRIPTORS
from streamkeep_common.seams import Disk, DiskFile, FileSystem

MAX_SINGLE_SYNCS = 4
"""With more things to sync than this, one syncfs is cheaper (100 files: 2.5 ms against 19 ms)."""


class Flush(NamedTuple):
    """What one flush makes durable."""

    files: Sequence[DiskFile]
    directories: Sequence[Path]
    whole_file_system: bool = False
    """Syncing the files would not tell of all errors."""

    def carry_out(self, disk: Disk, file_system: FileSystem) -> None:
        """Sync each of a few things, or the whole file system. Blocking. Raises OSError."""
        many = len(self.files) + len(self.directories) > MAX_SINGLE_SYNCS
        if not (many or self.whole_file_system):
            try:
                self._sync_each(disk)
            except OSError as error:
                if error.errno not in OUT_OF_DESCRIPTORS:
                    raise
                file_system.sync()  # it needs no further descriptor
        elif not _sync_if_possible(file_system):
            self._sync_each(disk)

    def _sync_each(self, disk: Disk) -> None:
        for file in self.files:
            file.sync()
        for directory in self.directories:
            disk.sync_directory(directory)


def _sync_if_possible(file_system: FileSystem) -> bool:
    try:
        file_system.sync()
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        return False
    return True
