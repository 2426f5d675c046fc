"""What a simulated disk hands out: open files, mounted file systems, and locks."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streamkeep_common.seams import FileSystemSpace
from tests.sim.disk_nodes import FileNode, Mount, sync_mount

if TYPE_CHECKING:
    from tests.sim.disk import SimDisk


class SimFile:
    """An open file of a SimDisk."""

    def __init__(self, disk: SimDisk, path: Path, node: FileNode) -> None:
        self._disk = disk
        self._path = path
        self._node = node
        self._life = disk.life
        self._open = True
        node.opened += 1
        disk.open_files += 1

    @property
    def path(self) -> Path:
        return self._path

    def size(self) -> int:
        self._check()
        return len(self._node.content)

    def read(self, position: int, size: int) -> bytes:
        self._check()
        self._disk.check("read", self._path)
        return bytes(self._node.content[position : position + size])

    def read_cached(self, position: int, size: int) -> bytes | None:
        self._check()
        return bytes(self._node.content[position : position + size]) if self._disk.cached else None

    def append(self, buffers: Sequence[bytes]) -> None:
        self._check()
        self._disk.check("write", self._path)
        data = b"".join(buffers)
        room = max(0, self._node.mount.capacity - self._node.mount.used)
        if data[:room]:
            self._node.append(data[:room])
            self._node.modified_ms = self._disk.now_ms()
        if len(data) > room:
            raise disk_error(errno.ENOSPC, self._path)

    def truncate(self, size: int) -> None:
        self._check()
        self._disk.check("write", self._path)
        self._node.truncate(size)
        self._node.modified_ms = self._disk.now_ms()

    def sync(self) -> None:
        self._disk.before_sync(self._path)
        self._check()
        try:
            self._disk.check("sync", self._path)
        except OSError:
            self._node.forget_changes()
            raise
        self._disk.file_syncs += 1
        self._node.sync()

    def close(self) -> None:
        if self._open and self._life == self._disk.life:
            self._node.opened -= 1
            self._disk.open_files -= 1
            self._node.release_if_unused()
        self._open = False

    def _check(self) -> None:
        if not self._open:
            raise disk_error(errno.EBADF, self._path)
        self._disk.check_life(self._life, self._path)


class SimFileSystem:
    """A mounted file system of a SimDisk."""

    def __init__(self, disk: SimDisk, path: Path, mount: Mount) -> None:
        self._disk = disk
        self._path = path
        self._mount = mount
        self._life = disk.life

    @property
    def id(self) -> int:
        return self._mount.number

    def space(self) -> FileSystemSpace:
        self._disk.check_life(self._life, self._path)
        return FileSystemSpace(self._mount.capacity, max(0, self._mount.capacity - self._mount.used))

    def sync(self) -> None:
        self._disk.before_sync(self._path)
        self._disk.check_life(self._life, self._path)
        try:
            self._disk.check("sync", self._path)
        except OSError:
            for file in list(self._mount.dirty_files):
                file.forget_changes()
            raise
        self._disk.file_system_syncs += 1
        sync_mount(self._mount)

    def close(self) -> None:
        """Nothing is held."""


class SimLock:
    """A lock held by the one process of a SimDisk."""

    def __init__(self, locks: dict[Path, SimLock], path: Path) -> None:
        self._locks = locks
        self._path = path

    def release(self) -> None:
        if self._locks.get(self._path) is self:
            del self._locks[self._path]


def disk_error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))
