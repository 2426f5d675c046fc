"""What a simulated disk consists of: file systems, directories and files, each with what is durable of it."""

from __future__ import annotations

import random
from collections import deque


class Mount:
    """One file system: its room, and what of it is not durable yet (dicts, for their order)."""

    def __init__(self, number: int, capacity: int) -> None:
        self.number = number
        self.capacity = capacity
        self.used = 0
        self.dirty_files: dict[FileNode, None] = {}
        self.dirty_directories: dict[DirectoryNode, None] = {}


class FileNode:
    """Content, and the changes to it since it was last durable, in order."""

    def __init__(self, mount: Mount, modified_ms: int) -> None:
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
        """A removed file takes room until the last one who has it open closes it.

        What is durable of it stays: a power cut may bring its name back.
        """
        if not self.links and not self.opened:
            self.mount.used -= len(self.content)
            self.mount.dirty_files.pop(self, None)
            self.content = bytearray()
            self.changes.clear()


class DirectoryNode:
    def __init__(self, mount: Mount) -> None:
        self.mount = mount
        self.names: dict[str, FileNode | DirectoryNode] = {}
        self.durable: dict[str, FileNode | DirectoryNode] = {}

    def put(self, name: str, node: FileNode | DirectoryNode) -> None:
        self.names[name] = node
        self.mount.dirty_directories[self] = None

    def take(self, name: str) -> FileNode | DirectoryNode:
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


def sync_mount(mount: Mount) -> None:
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
