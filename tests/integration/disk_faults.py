"""A disk that fills up, crawls or hangs when a test says so: the disk seam of a process, and its switch.

    DiskFaults(data_dir).fill()      # in the test
    FaultyDisk(RealDisk(), DiskFaults(data_dir))   # in the broker's process

The switch is a file beside the data directory, so that it works between processes, needs no privileges, and
outlives a kill. What a broker asks of the disk is done by the real one; these faults come in between:

full    nothing can be written any more; of what was on its way half arrives
small   as full, once what is in the directory takes so many bytes
slow    each call that makes something durable takes so many seconds longer
hung    no such call returns until the disk is healed
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from streamkeep_common.seams import Disk, DiskFile, DiskLock, FileSystem, FileSystemSpace

LOOK_AGAIN_S = 0.01
FULL, SMALL, HUNG, SLOW = "full", "small", "hung", "slow"


class DiskFaults:
    """The switch of one disk. At most one fault at a time."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._file = data_dir.with_name(f"{data_dir.name}.fault")

    def fill(self) -> None:
        self._set(FULL)

    def shrink(self, size_bytes: int) -> None:
        self._set(f"{SMALL} {size_bytes}")

    def hang(self) -> None:
        self._set(HUNG)

    def slow_down(self, seconds: float) -> None:
        self._set(f"{SLOW} {seconds}")

    def heal(self) -> None:
        self._file.unlink(missing_ok=True)

    def now(self) -> tuple[str, float]:
        """Which fault, if any, and its seconds or bytes."""
        try:
            words = self._file.read_text().split()
        except FileNotFoundError:
            return "", 0.0
        return words[0], float(words[1]) if len(words) > 1 else 0.0

    def _set(self, text: str) -> None:
        aside = self._file.with_suffix(".new")
        aside.write_text(text)
        aside.replace(self._file)

    def space(self, real: FileSystemSpace) -> FileSystemSpace:
        """How large it is now."""
        fault, size = self.now()
        if fault == FULL:
            return FileSystemSpace(real.total, 0)
        if fault == SMALL:
            return FileSystemSpace(int(size), max(0, int(size) - self._used_bytes()))
        return real

    def check_room(self, size_bytes: int = 0) -> None:
        """OSError ENOSPC if it is full, or has no room for so many bytes more."""
        fault, size = self.now()
        if fault == FULL or (fault == SMALL and self._used_bytes() + size_bytes > size):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._file))

    def _used_bytes(self) -> int:
        used = 0
        for folder, _, names in os.walk(self._data_dir):
            for name in names:
                with suppress(FileNotFoundError):  # it was deleted just now
                    used += (Path(folder) / name).stat().st_size
        return used

    def wait(self) -> None:
        """As long as the disk takes to make something durable."""
        fault, seconds = self.now()
        if fault == SLOW:
            _sleep(seconds)
        while self.now()[0] == HUNG:
            _sleep(LOOK_AGAIN_S)


def _sleep(seconds: float) -> None:
    """Of a disk's worker, in real time."""
    threading.Event().wait(seconds)


class FaultyFile:
    """An open file of it."""

    def __init__(self, real: DiskFile, faults: DiskFaults) -> None:
        self._real = real
        self._faults = faults
        self.read = real.read
        self.read_cached = real.read_cached
        self.size = real.size
        self.close = real.close

    @property
    def path(self) -> Path:
        return self._real.path

    def append(self, buffers: Sequence[bytes]) -> None:
        try:
            self._faults.check_room(sum(map(len, buffers)))
        except OSError:
            whole = b"".join(buffers)
            self._real.append([whole[: len(whole) // 2]])
            raise
        self._real.append(buffers)

    def truncate(self, size: int) -> None:
        self._real.truncate(size)

    def sync(self) -> None:
        self._faults.wait()
        self._real.sync()


class FaultyFileSystem:
    """The file system that holds the directory."""

    def __init__(self, real: FileSystem, faults: DiskFaults) -> None:
        self._real = real
        self._faults = faults
        self.close = real.close

    @property
    def id(self) -> int:
        return self._real.id

    def space(self) -> FileSystemSpace:
        return self._faults.space(self._real.space())

    def sync(self) -> None:
        self._faults.wait()
        self._real.sync()


class FaultyDisk:
    """Names and files."""

    def __init__(self, real: Disk, faults: DiskFaults) -> None:
        self._real = real
        self._faults = faults
        self.read_file = real.read_file
        self.exists = real.exists
        self.file_size = real.file_size
        self.modified_ms = real.modified_ms
        self.list_directory = real.list_directory
        self.rename = real.rename
        self.remove_file = real.remove_file
        self.remove_tree = real.remove_tree

    def open(self, path: Path, *, create: bool = False) -> DiskFile:
        if create and not self._real.exists(path):
            self._faults.check_room()
        return FaultyFile(self._real.open(path, create=create), self._faults)

    def write_file(self, path: Path, data: bytes) -> None:
        self._faults.check_room(len(data))
        self._faults.wait()
        self._real.write_file(path, data)

    def make_directories(self, path: Path) -> None:
        if not self._real.exists(path):
            self._faults.check_room()
        self._real.make_directories(path)

    def sync_directory(self, path: Path) -> None:
        self._faults.wait()
        self._real.sync_directory(path)

    def lock(self, path: Path) -> DiskLock:
        return self._real.lock(path)

    def file_system(self, path: Path) -> FileSystem:
        return FaultyFileSystem(self._real.file_system(path), self._faults)
