"""A simulated disk: files in memory that know what a power cut would leave of them.

Bytes and names have two lives each, what the running system sees and what is durable. It fails on
command: full, broken, cut off, bits flipped. All choices come from the `random.Random` it is given.
"""

from __future__ import annotations

import errno
import os
import random
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from streamkeep_common.seams import FileSystemSpace

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
EPOCH_MS = 1_700_000_000_000

Operation = Literal["read", "write", "sync"]


class _Mount:
    """One file system: its room, and what of it is not durable yet (dicts, for their order)."""

    def __init__(self, number: int, capacity: int) -> None:
        self.number = number
        self.capacity = capacity
        self.used = 0
        self.dirty_files: dict[_File, None] = {}
        self.dirty_directories: dict[_Directory, None] = {}


class _File:
    """Content, and the changes to it since it was last durable, in order."""

    def __init__(self, mount: _Mount, modified_ms: int) -> None:
        self.mount = mount
        self.content = bytearray()
        self.durable = bytearray()
        self.changes: deque[tuple[int, bytes | None]] = deque()  # (position, data), or (size, None) for a cut
        self.modified_ms = modified_ms
        self.links = 0
        self.opened = 0

    def append(self, data: bytes) -> None:
        self.changes.append((len(self.content), data))
        self.content += data
        self.mount.used += len(data)
        self.mount.dirty_files[self] = None

    def truncate(self, size: int) -> None:
        self.changes.append((size, None))
        self.mount.used += size - len(self.content)
        _cut(self.content, size)
        self.mount.dirty_files[self] = None

    def sync(self) -> None:
        """In this order, because another thread may append meanwhile."""
        self.mount.dirty_files.pop(self, None)
        while self.changes:
            _apply(self.durable, *self.changes.popleft())

    def forget_changes(self) -> None:
        """A failed write-back: the kernel calls the pages clean although they never reached the disk."""
        self.changes.clear()
        self.mount.dirty_files.pop(self, None)

    def cut_power(self, rng: random.Random) -> None:
        """Keep what is durable and, of the changes after it, a prefix that may end within a write."""
        kept = rng.randint(0, len(self.changes)) if self.changes else 0
        for _ in range(kept):
            _apply(self.durable, *self.changes.popleft())
        if self.changes:
            position, data = self.changes[0]
            if data is not None and rng.random() < 0.5:
                _apply(self.durable, position, data[: rng.randint(0, len(data))])
        self.changes.clear()
        self.mount.used += len(self.durable) - len(self.content)
        self.content = bytearray(self.durable)

    def release_if_unused(self) -> None:
        """A removed file takes room until the last one who has it open closes it."""
        if not self.links and not self.opened:
            self.mount.used -= len(self.content)
            self.mount.dirty_files.pop(self, None)
            self.content, self.durable = bytearray(), bytearray()
            self.changes.clear()


class _Directory:
    def __init__(self, mount: _Mount) -> None:
        self.mount = mount
        self.names: dict[str, _File | _Directory] = {}
        self.durable: dict[str, _File | _Directory] = {}

    def put(self, name: str, node: _File | _Directory) -> None:
        self.names[name] = node
        self.mount.dirty_directories[self] = None

    def take(self, name: str) -> _File | _Directory:
        self.mount.dirty_directories[self] = None
        return self.names.pop(name)

    def sync(self) -> None:
        self.mount.dirty_directories.pop(self, None)
        self.durable = dict(self.names)

    def cut_power(self, rng: random.Random) -> None:
        """Each name that changed is as it was or as it became."""
        for name in sorted(self.names.keys() | self.durable.keys()):
            now = self.names.get(name)
            if now is not self.durable.get(name) and rng.random() < 0.3:
                if now is None:
                    del self.durable[name]
                else:
                    self.durable[name] = now
        self.names = dict(self.durable)


class SimDisk:
    """The disks of one machine. `capacity` is of the root file system, `mounts` has others; bytes.

    Knobs: `cached` False makes every `read_cached` miss; `before_sync` is called with the path of every
    sync before it does anything, on the thread that syncs (block there for a slow disk); opening more than
    `max_open_files` fails with EMFILE. Counters: `file_syncs`, `file_system_syncs`, `directory_syncs`,
    `open_files`.
    """

    def __init__(
        self,
        rng: random.Random,
        *,
        capacity: int = 1 << 40,
        mounts: Mapping[Path, int] | None = None,
        now_ms: Callable[[], int] = lambda: EPOCH_MS,
    ) -> None:
        self.cached = True
        self.before_sync: Callable[[Path], None] = lambda path: None
        self.file_syncs = 0
        self.file_system_syncs = 0
        self.directory_syncs = 0
        self.open_files = 0
        self.max_open_files = 1 << 20
        self._rng = rng
        self._now_ms = now_ms
        self._life = 0
        self._locks: dict[Path, SimLock] = {}
        self._failures: list[tuple[Operation, Path, int]] = []
        self._root = _Directory(_Mount(1, capacity))
        self._mounts = {Path("/"): self._root.mount}
        for path, room in (mounts or {}).items():
            self._mount(path, room)
        self._new_boot_id()

    # What a test may do to it.

    def kill(self) -> None:
        """The process dies: its locks and descriptors are gone, the page cache stays."""
        self._life += 1
        self._locks.clear()
        self.open_files = 0
        for node in self._nodes(self._root, durable=False):
            if isinstance(node, _File):
                node.opened = 0

    def power_cut(self) -> None:
        """The machine dies: as `kill`, and what is not durable is lost or torn, each file for itself."""
        self.kill()
        durable, visible = (self._nodes(self._root, durable=flag) for flag in (True, False))
        for node in list(dict.fromkeys([self._root, *durable, *visible])):
            node.cut_power(self._rng)
        self._recount()
        self._new_boot_id()

    def flip_bit(self, path: Path, byte: int, bit: int) -> None:
        """Corrupt one bit (0-7) of a file, as it is read now and after a power cut."""
        node = self._file(path)
        node.content[byte] ^= 1 << bit
        if byte < len(node.durable):
            node.durable[byte] ^= 1 << bit

    def fail(self, operation: Operation, *, error: int = errno.EIO, under: Path = Path("/")) -> None:
        """From now on every such operation under a path raises OSError. Bytes of a failed sync are lost."""
        self._failures.append((operation, under, error))

    def heal(self) -> None:
        """End all failures."""
        self._failures.clear()

    def set_capacity(self, capacity: int, *, mount: Path = Path("/")) -> None:
        """Give a file system another size, in bytes; below what is used it is full."""
        self._mounts[mount].capacity = capacity

    def used(self, mount: Path = Path("/")) -> int:
        """Bytes in the files of one file system."""
        return self._mounts[mount].used

    # The seam.

    def open(self, path: Path, *, create: bool = False) -> SimFile:
        if self.open_files >= self.max_open_files:
            raise _error(errno.EMFILE, path)
        if create and not self.exists(path):
            self._create(path)
        return SimFile(self, path, self._file(path))

    def read_file(self, path: Path) -> bytes:
        self.check("read", path)
        return bytes(self._file(path).content)

    def write_file(self, path: Path, data: bytes) -> None:
        aside = path.with_name(path.name + ".tmp")
        self.remove_file(aside)
        file = self.open(aside, create=True)
        try:
            file.append([data])
            file.sync()
        except OSError:
            self.remove_file(aside)
            raise
        finally:
            file.close()
        self.rename(aside, path)
        self.sync_directory(path.parent)

    def exists(self, path: Path) -> bool:
        return self._find(path) is not None

    def file_size(self, path: Path) -> int:
        return len(self._file(path).content)

    def modified_ms(self, path: Path) -> int:
        return self._file(path).modified_ms

    def list_directory(self, path: Path) -> list[str]:
        return sorted(self._directory(path).names)

    def make_directories(self, path: Path) -> None:
        for ancestor in [*reversed(path.parents), path]:
            if self._find(ancestor) is None:
                self.check("write", ancestor)
                parent = self._directory(ancestor.parent)
                parent.put(ancestor.name, _Directory(parent.mount))
        self._directory(path)

    def rename(self, source: Path, target: Path) -> None:
        self.check("write", target)
        existing = self._find(target)
        if isinstance(existing, _Directory):
            raise _error(errno.EISDIR if not existing.names else errno.ENOTEMPTY, target)
        if self._find(source) is None:
            raise _error(errno.ENOENT, source)
        new_parent = self._directory(target.parent)
        node = self._directory(source.parent).take(source.name)
        if existing is not None:
            self._unlink(existing)
        new_parent.put(target.name, node)

    def remove_file(self, path: Path) -> None:
        self.check("write", path)
        if self._find(path) is not None:
            self._unlink(self._file(path))
            self._directory(path.parent).take(path.name)

    def remove_tree(self, path: Path) -> None:
        self.check("write", path)
        if self._find(path) is None:
            return
        for node in self._nodes(self._directory(path), durable=False):
            if isinstance(node, _File):
                self._unlink(node)
        self._directory(path.parent).take(path.name)

    def sync_directory(self, path: Path) -> None:
        self.before_sync(path)
        self.check("sync", path)
        self.directory_syncs += 1
        self._directory(path).sync()

    def lock(self, path: Path) -> SimLock:
        if path in self._locks:
            raise _error(errno.EWOULDBLOCK, path)
        self.open(path, create=True).close()
        self._locks[path] = SimLock(self._locks, path)
        return self._locks[path]

    def file_system(self, path: Path) -> SimFileSystem:
        return SimFileSystem(self, path, self._directory(path).mount)

    # For SimFile and SimFileSystem.

    def check(self, operation: Operation, path: Path) -> None:
        for failing, under, error in self._failures:
            if failing == operation and path.is_relative_to(under):
                raise _error(error, path)

    def check_life(self, life: int, path: Path) -> None:
        """Descriptors die with their process."""
        if life != self._life:
            raise _error(errno.EBADF, path)

    @property
    def life(self) -> int:
        return self._life

    def now_ms(self) -> int:
        return self._now_ms()

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

    def _create(self, path: Path) -> None:
        self.check("write", path)
        parent = self._directory(path.parent)
        file = _File(parent.mount, self._now_ms())
        file.links = 1
        parent.put(path.name, file)

    def _unlink(self, node: _File | _Directory) -> None:
        assert isinstance(node, _File)
        node.links = 0
        node.release_if_unused()

    def _nodes(self, directory: _Directory, *, durable: bool) -> Iterator[_File | _Directory]:
        for node in (directory.durable if durable else directory.names).values():
            yield node
            if isinstance(node, _Directory):
                yield from self._nodes(node, durable=durable)

    def _mount(self, path: Path, capacity: int) -> None:
        self.make_directories(path)
        mounted = _Directory(_Mount(len(self._mounts) + 1, capacity))
        self._directory(path.parent).put(path.name, mounted)
        self._mounts[path] = mounted.mount
        self._sync_all()

    def _new_boot_id(self) -> None:
        self.make_directories(BOOT_ID.parent)
        self.remove_file(BOOT_ID)
        boot_id = uuid.UUID(int=self._rng.getrandbits(128), version=4)
        file = self.open(BOOT_ID, create=True)
        file.append([f"{boot_id}\n".encode()])
        file.close()
        self._sync_all()

    def _sync_all(self) -> None:
        for mount in self._mounts.values():
            _sync_mount(mount)

    def _recount(self) -> None:
        """After a power cut: what is linked is used, and nothing is dirty."""
        for mount in self._mounts.values():
            mount.used = 0
            mount.dirty_files.clear()
            mount.dirty_directories.clear()
        for node in dict.fromkeys(self._nodes(self._root, durable=False)):
            if isinstance(node, _File):
                node.links = 1
                node.mount.used += len(node.content)


class SimFile:
    """An open file of a SimDisk."""

    def __init__(self, disk: SimDisk, path: Path, node: _File) -> None:
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
            raise _error(errno.ENOSPC, self._path)

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
            raise _error(errno.EBADF, self._path)
        self._disk.check_life(self._life, self._path)


class SimFileSystem:
    """A mounted file system of a SimDisk."""

    def __init__(self, disk: SimDisk, path: Path, mount: _Mount) -> None:
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
        _sync_mount(self._mount)

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


def _sync_mount(mount: _Mount) -> None:
    for file in list(mount.dirty_files):
        file.sync()
    for directory in list(mount.dirty_directories):
        directory.sync()


def _apply(durable: bytearray, position: int, data: bytes | None) -> None:
    if data is None:
        _cut(durable, position)
        return
    _cut(durable, max(position, len(durable)))  # zeros where a failed write-back left a hole
    durable[position : position + len(data)] = data


def _cut(content: bytearray, size: int) -> None:
    if size < len(content):
        del content[size:]
    else:
        content += bytes(size - len(content))


def _error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))
