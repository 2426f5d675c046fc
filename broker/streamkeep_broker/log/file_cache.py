"""Bounded descriptors for any number of log files.

A `CachedFile` is a `DiskFile` that opens when it is first used and may lose its descriptor whenever
nobody uses it; the next use opens it again. A file that was written and not yet synced is the last to
lose it, because a write-back error is reported to the descriptors that were open when it happened: once
`lost_unsynced`, only a sync of the whole file system, which has a descriptor of its own, tells the truth.
Knows nothing of logs.
"""

from __future__ import annotations

import errno
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from streamkeep_common.seams import Disk, DiskFile

OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class FileClosedError(ValueError):
    """A file is used that its owner has closed."""


class FileCache:
    """Opens files on one disk, keeping at most `capacity` descriptors beside those in use this very moment.

    Files may be used on any thread, so a lock guards the bookkeeping; it is never held during I/O other
    than open and close.
    """

    def __init__(self, disk: Disk, *, capacity: int) -> None:
        assert capacity >= 1
        self._disk = disk
        self._capacity = capacity
        self._lock = threading.Lock()
        # Open and unused, oldest first; what was written and not synced stands apart.
        self._idle: OrderedDict[CachedFile, None] = OrderedDict()
        self._unsynced: OrderedDict[CachedFile, None] = OrderedDict()
        self._open_files = 0

    @property
    def open_files(self) -> int:
        """Descriptors held now."""
        return self._open_files

    def open(self, path: Path, *, create: bool = False) -> CachedFile:
        """A file that opens when it is used; with `create` it is made then if it is missing.

        That it is missing shows at the first use, as FileNotFoundError.
        """
        return CachedFile(self, path, create=create)

    def close_idle(self) -> None:
        """Give back every descriptor that is neither in use nor unsynced: nobody may want it for long."""
        with self._lock:
            self._close_all_idle()

    def acquire(self, file: CachedFile) -> DiskFile:
        """The open file, not to be closed before `release`."""
        with self._lock:
            opened = file.opened
            if opened is None:
                if file.closed:
                    raise FileClosedError(f"{file.path} was closed")
                opened = file.opened = self._open(file)
                file.create = False
                self._open_files += 1
                self._shrink()
            else:
                self._take_from_lists(file)
            file.users += 1
            return opened

    def release(self, file: CachedFile) -> None:
        """End one use."""
        with self._lock:
            file.users -= 1
            self._settle(file)

    def mark_synced(self, file: CachedFile, version: int) -> None:
        """What the file held at `version` (see `CachedFile.version`) is durable."""
        with self._lock:
            file.synced_version = max(file.synced_version, version)
            if file.synced_version == file.version:
                file.lost_unsynced = False
            self._settle(file)

    def close(self, file: CachedFile) -> None:
        """Give the descriptor back as soon as nobody uses it, synced or not."""
        with self._lock:
            file.closed = True
            self._settle(file)

    def _open(self, file: CachedFile) -> DiskFile:
        try:
            return self._disk.open(file.path, create=file.create)
        except OSError as error:
            if error.errno not in OUT_OF_DESCRIPTORS or not (self._idle or self._unsynced):
                raise
        # Others in the process have more descriptors than was planned for: spare some.
        self._close_all_idle()
        self._close_one_unsynced()
        return self._disk.open(file.path, create=file.create)

    def _settle(self, file: CachedFile) -> None:
        if file.users or file.opened is None:
            return
        self._take_from_lists(file)
        if file.closed:
            self._close_descriptor(file)
            return
        unused = self._idle if file.synced_version == file.version else self._unsynced
        unused[file] = None
        self._shrink()

    def _take_from_lists(self, file: CachedFile) -> None:
        self._idle.pop(file, None)
        self._unsynced.pop(file, None)

    def _shrink(self) -> None:
        while self._open_files > self._capacity and self._idle:
            self._close_descriptor(self._idle.popitem(last=False)[0])
        while self._open_files > self._capacity and self._unsynced:
            self._close_one_unsynced()

    def _close_all_idle(self) -> None:
        while self._idle:
            self._close_descriptor(self._idle.popitem(last=False)[0])

    def _close_one_unsynced(self) -> None:
        if self._unsynced:
            file = self._unsynced.popitem(last=False)[0]
            file.lost_unsynced = True
            self._close_descriptor(file)

    def _close_descriptor(self, file: CachedFile) -> None:
        assert file.opened is not None
        opened, file.opened = file.opened, None
        self._open_files -= 1
        opened.close()


class CachedFile:
    """A `DiskFile` whose descriptor comes and goes. The bookkeeping fields belong to its cache."""

    __slots__ = (
        "_cache",
        "_path",
        "closed",
        "create",
        "lost_unsynced",
        "opened",
        "synced_version",
        "users",
        "version",
    )

    def __init__(self, cache: FileCache, path: Path, *, create: bool) -> None:
        self._cache = cache
        self._path = path
        self.create = create
        self.opened: DiskFile | None = None
        self.users = 0
        self.closed = False
        self.version = 0
        """Counts changes of the content; take it before a sync to tell `mark_synced` what it covered."""
        self.synced_version = 0
        self.lost_unsynced = False
        """Its descriptor was given back while it had bytes that were not on disk."""

    @property
    def path(self) -> Path:
        return self._path

    def size(self) -> int:
        file = self._cache.acquire(self)
        try:
            return file.size()
        finally:
            self._cache.release(self)

    def read(self, position: int, size: int) -> bytes:
        file = self._cache.acquire(self)
        try:
            return file.read(position, size)
        finally:
            self._cache.release(self)

    def read_cached(self, position: int, size: int) -> bytes | None:
        file = self._cache.acquire(self)
        try:
            return file.read_cached(position, size)
        finally:
            self._cache.release(self)

    def append(self, buffers: Sequence[bytes]) -> None:
        file = self._cache.acquire(self)
        self.version += 1
        try:
            file.append(buffers)
        finally:
            self._cache.release(self)

    def truncate(self, size: int) -> None:
        file = self._cache.acquire(self)
        self.version += 1
        try:
            file.truncate(size)
        finally:
            self._cache.release(self)

    def sync(self) -> None:
        version = self.version
        file = self._cache.acquire(self)
        try:
            file.sync()
        finally:
            self._cache.release(self)
        self._cache.mark_synced(self, version)

    def mark_synced(self, version: int) -> None:
        """The file system was synced after the file had this version."""
        self._cache.mark_synced(self, version)

    def close(self) -> None:
        self._cache.close(self)
