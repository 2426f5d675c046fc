"""The disk seam: files, directories, and what it takes to make them survive a power cut.

All calls are synchronous; the caller decides what runs on the event loop (appends to the page cache,
cached reads) and what on a worker (flushes, cold reads, deletions). Failures are OSError, as the system
gives them: ENOSPC is a full disk, EIO a broken one. Bytes survive a power cut only after `DiskFile.sync`
or `FileSystem.sync`; names only after `sync_directory` of their directory or `FileSystem.sync`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class DiskFile(Protocol):
    """An open file. Positions are bytes from its start."""

    @property
    def path(self) -> Path: ...

    def size(self) -> int: ...

    def read(self, position: int, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the file. May wait for the disk."""
        ...

    def read_cached(self, position: int, size: int) -> bytes | None:
        """As `read` if all of it is in memory, else None without waiting."""
        ...

    def append(self, buffers: Sequence[bytes]) -> None:
        """Write all buffers at the end. On OSError an unknown part of them may have been written."""
        ...

    def truncate(self, size: int) -> None:
        """Cut to `size` bytes."""
        ...

    def sync(self) -> None:
        """Make the file's bytes and size durable (fdatasync). After an OSError nothing is known."""
        ...

    def close(self) -> None: ...


class DiskLock(Protocol):
    """A held lock; it ends with the process at the latest."""

    def release(self) -> None: ...


@dataclass(frozen=True, slots=True)
class FileSystemSpace:
    """Sizes in bytes; `free` is what an ordinary user may still write."""

    total: int
    free: int


class FileSystem(Protocol):
    """The mounted file system that holds a directory."""

    @property
    def id(self) -> int:
        """Equal for two directories of one file system."""
        ...

    def space(self) -> FileSystemSpace: ...

    def sync(self) -> None:
        """Make everything written to it durable (syncfs); strangers' dirty bytes too.

        Reports write-back errors since the last call, or since it was opened.
        """
        ...

    def close(self) -> None: ...


class Disk(Protocol):
    """Names and files. Paths are absolute."""

    def open(self, path: Path, *, create: bool = False) -> DiskFile:
        """Open for reading and appending. FileNotFoundError unless it exists or `create`."""
        ...

    def read_file(self, path: Path) -> bytes:
        """All of a small file. FileNotFoundError if there is none."""
        ...

    def write_file(self, path: Path, data: bytes) -> None:
        """Replace a small file as one step, durably: written aside, synced, renamed, directory synced."""
        ...

    def exists(self, path: Path) -> bool: ...

    def file_size(self, path: Path) -> int: ...

    def modified_ms(self, path: Path) -> int:
        """Time of the last write, ms since 1970-01-01 UTC."""
        ...

    def list_directory(self, path: Path) -> list[str]:
        """Names in it, sorted."""
        ...

    def make_directories(self, path: Path) -> None:
        """Make it and its parents where they are missing."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Replace `target` if it is a file."""
        ...

    def remove_file(self, path: Path) -> None:
        """Nothing happens if there is none."""
        ...

    def remove_tree(self, path: Path) -> None:
        """A directory with all that is in it; nothing happens if there is none."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory durable."""
        ...

    def lock(self, path: Path) -> DiskLock:
        """Take an exclusive lock on a file, made if missing. BlockingIOError if another process has it."""
        ...

    def file_system(self, path: Path) -> FileSystem:
        """The file system of an existing directory, held open until closed."""
        ...


def make_directories_durably(disk: Disk, path: Path) -> None:
    """Make a directory with its parents so that a power cut does not take them away again. Raises OSError."""
    missing = [ancestor for ancestor in (path, *path.parents) if not disk.exists(ancestor)]
    disk.make_directories(path)
    for made in missing:
        disk.sync_directory(made.parent)
