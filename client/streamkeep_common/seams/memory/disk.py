"""A disk in memory: it never fills up, never fails, and is gone with the process.

There is no power to be cut: what was written stays written, synced or not, as it does in the page cache of a
machine whose processes come and go. Threads may share it.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Sequence
from pathlib import Path
from threading import RLock
from typing import Final

from streamkeep_common.limits import GIB
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.disk import FileSystemSpace

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_CAPACITY_BYTES: Final = 1024 * GIB


class _File:
    """The content of a file, which outlives its name while it is open."""

    __slots__ = ("content", "modified_ms")

    def __init__(self, content: bytes, modified_ms: int) -> None:
        self.content = bytearray(content)
        self.modified_ms = modified_ms


class _Directory:
    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: dict[str, _File | _Directory] = {}


class MemoryDisk:
    """The disks of one machine; see `seams.Disk`. The machine has booted when this is made."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self.access = RLock()
        self.life = 0
        self._clock = clock
        self._root = _Directory()
        self._locks: dict[Path, MemoryLock] = {}
        self.make_directories(_BOOT_ID.parent)
        self.write_file(_BOOT_ID, _boot_id(rng))

    def kill(self) -> None:
        """The process that used it has died: its locks are free, and its open files are none any more."""
        with self.access:
            self.life += 1
            self._locks.clear()

    # The seam.

    def open(self, path: Path, *, create: bool = False) -> MemoryFile:
        with self.access:
            if create and not self.exists(path):
                self._directory(path.parent).names[path.name] = _File(b"", self.now_ms())
            return MemoryFile(self, path, self._file(path))

    def read_file(self, path: Path) -> bytes:
        with self.access:
            return bytes(self._file(path).content)

    def write_file(self, path: Path, data: bytes) -> None:
        with self.access:
            if isinstance(self._find(path), _Directory):
                raise _error(errno.EISDIR, path)
            self._directory(path.parent).names[path.name] = _File(data, self.now_ms())

    def exists(self, path: Path) -> bool:
        with self.access:
            return self._find(path) is not None

    def file_size(self, path: Path) -> int:
        with self.access:
            return len(self._file(path).content)

    def modified_ms(self, path: Path) -> int:
        with self.access:
            return self._file(path).modified_ms

    def list_directory(self, path: Path) -> list[str]:
        with self.access:
            return sorted(self._directory(path).names)

    def make_directories(self, path: Path) -> None:
        with self.access:
            for ancestor in (*reversed(path.parents), path):
                if self._find(ancestor) is None:
                    self._directory(ancestor.parent).names[ancestor.name] = _Directory()
            self._directory(path)

    def rename(self, source: Path, target: Path) -> None:
        with self.access:
            node, existing = self._find(source), self._find(target)
            if node is None:
                raise _error(errno.ENOENT, source)
            if isinstance(existing, _Directory):
                raise _error(errno.ENOTEMPTY if existing.names else errno.EISDIR, target)
            self._directory(target.parent).names[target.name] = node
            del self._directory(source.parent).names[source.name]

    def remove_file(self, path: Path) -> None:
        with self.access:
            if self.exists(path):
                self._file(path)
                del self._directory(path.parent).names[path.name]

    def remove_tree(self, path: Path) -> None:
        with self.access:
            if self.exists(path):
                self._directory(path)
                del self._directory(path.parent).names[path.name]

    def sync_directory(self, path: Path) -> None:
        with self.access:
            self._directory(path)

    def lock(self, path: Path) -> MemoryLock:
        with self.access:
            if path in self._locks:
                raise _error(errno.EWOULDBLOCK, path)
            self.open(path, create=True).close()
            lock = self._locks[path] = MemoryLock(self._locks, path)
            return lock

    def file_system(self, path: Path) -> MemoryFileSystem:
        with self.access:
            self._directory(path)
            return MemoryFileSystem()

    def now_ms(self) -> int:
        return self._clock.now_ms()

    # Within.

    def _find(self, path: Path) -> _File | _Directory | None:
        node: _File | _Directory | None = self._root
        for name in path.parts[1:]:
            if not isinstance(node, _Directory):
                return None
            node = node.names.get(name)
        return node

    def _file(self, path: Path) -> _File:
        node = self._find(path)
        if not isinstance(node, _File):
            raise _error(errno.ENOENT if node is None else errno.EISDIR, path)
        return node

    def _directory(self, path: Path) -> _Directory:
        node = self._find(path)
        if not isinstance(node, _Directory):
            raise _error(errno.ENOENT if node is None else errno.ENOTDIR, path)
        return node


class MemoryFile:
    """An open file of a MemoryDisk; see `seams.DiskFile`. It ends with the process that opened it."""

    def __init__(self, disk: MemoryDisk, path: Path, file: _File) -> None:
        self._disk = disk
        self._path = path
        self._file = file
        self._life = disk.life
        self._is_open = True

    @property
    def path(self) -> Path:
        return self._path

    def size(self) -> int:
        with self._disk.access:
            return len(self._content())

    def read(self, position: int, size: int) -> bytes:
        with self._disk.access:
            return bytes(self._content()[position : position + size])

    def read_cached(self, position: int, size: int) -> bytes | None:
        return self.read(position, size)

    def append(self, buffers: Sequence[bytes]) -> None:
        with self._disk.access:
            content = self._content()
            for buffer in buffers:
                content += buffer
            self._file.modified_ms = self._disk.now_ms()

    def truncate(self, size: int) -> None:
        with self._disk.access:
            content = self._content()
            del content[size:]
            content += bytes(size - len(content))
            self._file.modified_ms = self._disk.now_ms()

    def sync(self) -> None:
        with self._disk.access:
            self._content()

    def close(self) -> None:
        self._is_open = False

    def _content(self) -> bytearray:
        if not self._is_open or self._life != self._disk.life:
            raise _error(errno.EBADF, self._path)
        return self._file.content


class MemoryFileSystem:
    """All of a MemoryDisk is one file system with room for everything; see `seams.FileSystem`."""

    id = 1

    def space(self) -> FileSystemSpace:
        return FileSystemSpace(total=_CAPACITY_BYTES, free=_CAPACITY_BYTES)

    def sync(self) -> None:
        """There is nothing that could be lost."""

    def close(self) -> None:
        """Nothing is held."""


class MemoryLock:
    """See `seams.DiskLock`."""

    def __init__(self, locks: dict[Path, MemoryLock], path: Path) -> None:
        self._locks = locks
        self._path = path

    def release(self) -> None:
        if self._locks.get(self._path) is self:
            del self._locks[self._path]


def _boot_id(rng: random.Random) -> bytes:
    digits = rng.randbytes(16).hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])).encode() + b"\n"


def _error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))
