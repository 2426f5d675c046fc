"""The disk seam on a POSIX machine (Linux 5.8 or newer for `FileSystem.sync`).

Owns system calls and nothing else: no caching, no retry, no policy. Every OSError passes through.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from streamkeep_common.seams.disk import FileSystemSpace

_MAX_BUFFERS = max(16, os.sysconf("SC_IOV_MAX"))  # the least that POSIX promises
_FILE_MODE = 0o644
# syncfs forgot to report failed write-back before this kernel, so older ones count as without it.
_SYNCFS_REPORTS_SINCE = (5, 8)
_NOT_SUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class RealDisk:
    """The machine's file systems."""

    def open(self, path: Path, *, create: bool = False) -> RealFile:
        flags = os.O_RDWR | os.O_APPEND | (os.O_CREAT if create else 0)
        return RealFile(path, os.open(path, flags, _FILE_MODE))

    def read_file(self, path: Path) -> bytes:
        return path.read_bytes()

    def write_file(self, path: Path, data: bytes) -> None:
        aside = path.with_name(path.name + ".tmp")
        try:
            _write_whole(aside, data)
            aside.rename(path)
        except OSError:
            with suppress(OSError):  # the first failure is the one to report
                aside.unlink(missing_ok=True)
            raise
        self.sync_directory(path.parent)

    def exists(self, path: Path) -> bool:
        return path.exists()

    def file_size(self, path: Path) -> int:
        return path.stat().st_size

    def modified_ms(self, path: Path) -> int:
        return path.stat().st_mtime_ns // 1_000_000

    def list_directory(self, path: Path) -> list[str]:
        return sorted(os.listdir(path))  # noqa: PTH208 (names, not paths, and ten thousand of them)

    def make_directories(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def remove_file(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def remove_tree(self, path: Path) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(path)

    def sync_directory(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lock(self, path: Path) -> RealLock:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return RealLock(descriptor)

    def file_system(self, path: Path) -> RealFileSystem:
        return RealFileSystem(os.open(path, os.O_RDONLY | os.O_DIRECTORY))


class RealFile:
    """An open file in append mode; positions for reading are explicit, so threads may share it."""

    __slots__ = ("_descriptor", "_path", "_reads_without_waiting")

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._reads_without_waiting = hasattr(os, "RWF_NOWAIT")

    @property
    def path(self) -> Path:
        return self._path

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read(self, position: int, size: int) -> bytes:
        data = os.pread(self._descriptor, size, position)
        if len(data) == size or not data:
            return data
        pieces = [data]
        while missing := size - sum(map(len, pieces)):
            data = os.pread(self._descriptor, missing, position + size - missing)
            if not data:
                break
            pieces.append(data)
        return b"".join(pieces)

    def read_cached(self, position: int, size: int) -> bytes | None:
        if not self._reads_without_waiting:
            return None
        buffer = bytearray(size)
        try:
            count = os.preadv(self._descriptor, [buffer], position, os.RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno not in _NOT_SUPPORTED:
                raise
            self._reads_without_waiting = False
            return None
        if count == size:
            return bytes(buffer)
        return bytes(buffer[:count]) if position + count >= self.size() else None

    def append(self, buffers: Sequence[bytes]) -> None:
        try:
            if len(buffers) <= _MAX_BUFFERS:
                written = os.writev(self._descriptor, buffers)
                if written == sum(map(len, buffers)):
                    return
            else:
                written = 0
            self._append_rest(buffers, written)
        except OSError as error:
            self._name(error)
            raise

    def _append_rest(self, buffers: Sequence[bytes], written: int) -> None:
        """Go on after a short write (a signal, a disk about to be full) or with very many buffers."""
        pending = [memoryview(buffer) for buffer in buffers if buffer]
        first = 0
        while True:
            while first < len(pending) and written >= len(pending[first]):
                written -= len(pending[first])
                first += 1
            if first == len(pending):
                return
            pending[first] = pending[first][written:]
            written = os.writev(self._descriptor, pending[first : first + _MAX_BUFFERS])

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        try:
            _sync_data(self._descriptor)
        except OSError as error:
            self._name(error)
            raise

    def _name(self, error: OSError) -> None:
        """The system knows only the descriptor; an operator wants to know which file, and so which disk."""
        error.filename = str(self._path)

    def close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class RealLock:
    """A held flock: it is bound to the open descriptor, so the kernel drops it with the process."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class RealFileSystem:
    """A mounted file system, by one kept descriptor: failed write-back is reported once to each."""

    __slots__ = ("_descriptor", "_id", "_syncfs")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._id = os.fstat(descriptor).st_dev
        self._syncfs = _find_syncfs()

    @property
    def id(self) -> int:
        return self._id

    def space(self) -> FileSystemSpace:
        found = os.fstatvfs(self._descriptor)
        return FileSystemSpace(total=found.f_blocks * found.f_frsize, free=found.f_bavail * found.f_frsize)

    def sync(self) -> None:
        if self._syncfs is None:
            raise OSError(errno.ENOSYS, "no syncfs that reports errors on this system")
        if self._syncfs(self._descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def _write_whole(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE_MODE)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _find_syncfs() -> Callable[[int], int] | None:
    """The C library's syncfs (it releases the interpreter while it waits), or None where it would not do."""
    release = os.uname().release.split("-")[0].split(".")
    numbers = tuple(int(part) for part in release[:2] if part.isdigit())
    if os.uname().sysname != "Linux" or numbers < _SYNCFS_REPORTS_SINCE:
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if function is None:
        return None
    function.argtypes = [ctypes.c_int]
    function.restype = ctypes.c_int
    return function  # type: ignore[no-any-return]


_sync_data: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
