"""A simulated disk: files in memory that know what a power cut would leave of them.

Bytes and names have two lives each, what the running system sees and what is durable. It fails on
command: full, broken, cut off, bits flipped. All choices come from the `random.Random` it is given.
"""

from __future__ import annotations

import errno
import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from tests.sim.disk_files import SimFile, SimFileSystem, SimLock, disk_error
from tests.sim.disk_nodes import DirectoryNode, FileNode, Mount, sync_mount

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

EPOCH_MS = 1_700_000_000_000

Operation = Literal["read", "write", "sync"]


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
        self._root = DirectoryNode(Mount(1, capacity))
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
            if isinstance(node, FileNode):
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

    def cut_short(self, path: Path, *, lost_bytes: int) -> None:
        """Take a file's last bytes away, as it is read now and after a power cut."""
        file = self.open(path)
        file.truncate(file.size() - lost_bytes)
        file.sync()
        file.close()

    def fail(self, operation: Operation, *, error: int = errno.EIO, under: Path = Path("/")) -> None:
        """From now on every such operation under a path raises OSError. Bytes of a failed sync are lost."""
        self._failures.append((operation, under, error))

    def heal(self) -> None:
        """End all failures."""
        self._failures.clear()

    def set_capacity(self, capacity: int, *, mount: Path = Path("/")) -> None:
        """Give a file system another size, in bytes; below what is used it is full."""
        self._mounts[mount].capacity = capacity

    def peek(self, path: Path, start: int, end: int) -> bytes:
        """What a file holds from byte to byte, for who only looks on: no fault applies."""
        return bytes(self._file(path).content[start:end])

    def used(self, mount: Path = Path("/")) -> int:
        """Bytes in the files of one file system."""
        return self._mounts[mount].used

    # The seam.

    def open(self, path: Path, *, create: bool = False) -> SimFile:
        if self.open_files >= self.max_open_files:
            raise disk_error(errno.EMFILE, path)
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
                parent.put(ancestor.name, DirectoryNode(parent.mount))
        self._directory(path)

    def rename(self, source: Path, target: Path) -> None:
        self.check("write", target)
        existing = self._find(target)
        if isinstance(existing, DirectoryNode):
            raise disk_error(errno.EISDIR if not existing.names else errno.ENOTEMPTY, target)
        if self._find(source) is None:
            raise disk_error(errno.ENOENT, source)
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
            if isinstance(node, FileNode):
                self._unlink(node)
        self._directory(path.parent).take(path.name)

    def sync_directory(self, path: Path) -> None:
        self.before_sync(path)
        self.check("sync", path)
        self.directory_syncs += 1
        self._directory(path).sync()

    def lock(self, path: Path) -> SimLock:
        if path in self._locks:
            raise disk_error(errno.EWOULDBLOCK, path)
        self.open(path, create=True).close()
        self._locks[path] = SimLock(self._locks, path)
        return self._locks[path]

    def file_system(self, path: Path) -> SimFileSystem:
        return SimFileSystem(self, path, self._directory(path).mount)

    # For SimFile and SimFileSystem.

    def check(self, operation: Operation, path: Path) -> None:
        for failing, under, error in self._failures:
            if failing == operation and path.is_relative_to(under):
                raise disk_error(error, path)

    def check_life(self, life: int, path: Path) -> None:
        """Descriptors die with their process."""
        if life != self._life:
            raise disk_error(errno.EBADF, path)

    @property
    def life(self) -> int:
        return self._life

    def now_ms(self) -> int:
        return self._now_ms()

    # Within.

    def _find(self, path: Path) -> FileNode | DirectoryNode | None:
        node: FileNode | DirectoryNode | None = self._root
        for name in path.parts[1:]:
            if not isinstance(node, DirectoryNode):
                return None
            node = node.names.get(name)
        return node

    def _file(self, path: Path) -> FileNode:
        node = self._find(path)
        if not isinstance(node, FileNode):
            raise disk_error(errno.ENOENT if node is None else errno.EISDIR, path)
        return node

    def _directory(self, path: Path) -> DirectoryNode:
        node = self._find(path)
        if not isinstance(node, DirectoryNode):
            raise disk_error(errno.ENOENT if node is None else errno.ENOTDIR, path)
        return node

    def _create(self, path: Path) -> None:
        self.check("write", path)
        parent = self._directory(path.parent)
        file = FileNode(parent.mount, self._now_ms())
        file.links = 1
        parent.put(path.name, file)

    def _unlink(self, node: FileNode | DirectoryNode) -> None:
        assert isinstance(node, FileNode)
        node.links = 0
        node.release_if_unused()

    def _nodes(self, directory: DirectoryNode, *, durable: bool) -> Iterator[FileNode | DirectoryNode]:
        for node in (directory.durable if durable else directory.names).values():
            yield node
            if isinstance(node, DirectoryNode):
                yield from self._nodes(node, durable=durable)

    def _mount(self, path: Path, capacity: int) -> None:
        self.make_directories(path)
        mounted = DirectoryNode(Mount(len(self._mounts) + 1, capacity))
        self._directory(path.parent).put(path.name, mounted)
        self._mounts[path] = mounted.mount
        self._sync_all()

    def _new_boot_id(self) -> None:
        self.make_directories(BOOT_ID.parent)
        self.remove_file(BOOT_ID)
        boot_id = uuid.UUID(int=self._rng.getrandbits(128), version=4)
        file = self.open(BOOT_ID, create=True)
        self._file(BOOT_ID).append(f"{boot_id}\n".encode())  # it takes no room
        file.close()
        self._sync_all()

    def _sync_all(self) -> None:
        for mount in self._mounts.values():
            sync_mount(mount)

    def _recount(self) -> None:
        """After a power cut: what is linked is used, and nothing is dirty."""
        for mount in self._mounts.values():
            mount.used = 0
            mount.dirty_files.clear()
            mount.dirty_directories.clear()
        for node in dict.fromkeys(self._nodes(self._root, durable=False)):
            if isinstance(node, FileNode):
                node.links = 1
                node.mount.used += len(node.content)
