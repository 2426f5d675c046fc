"""The state of one log directory: may it be written, and if not, why. Pure: it is told what happened.

The worst of what is the case counts: failed, then stalled, then full. A failure is for ever, because
after a failed flush nobody knows what the disk holds; the other two end by themselves.
"""

from __future__ import annotations

from pathlib import Path

from streamkeep_common.errors import DiskFullError, DiskStalledError, StorageFailedError
from streamkeep_common.seams import FileSystemSpace
from streamkeep_proto.v1 import broker_pb2
from streamkeep_proto.v1.broker_pb2 import LogDirState

GIB = 1 << 30
RESUME_FACTOR = 2
"""Writable again only above this many times the threshold, or the state would flutter at its edge."""


def default_min_free_bytes(total_bytes: int) -> int:
    """The smaller of 1 GiB and 5 % of the file system."""
    return min(GIB, total_bytes // 20)


class LogDirectory:
    """One directory of logs on one file system.

    Every method that tells it something returns whether `state` changed by it. `min_free_bytes` below 0
    stands for `default_min_free_bytes`.
    """

    def __init__(self, path: Path, *, min_free_bytes: int = -1) -> None:
        self.path = path
        self.id = b""
        """16 bytes once the directory's identity is known; empty before, and for ever if it failed first."""
        self.space = FileSystemSpace(total=0, free=0)
        self.min_free_bytes = max(min_free_bytes, 0)
        """Under this, nothing may be appended; from the setting or, once measured, the file system's size."""
        self._has_default_threshold = min_free_bytes < 0
        self._free_now = 0
        self._full = ""
        self._stalled = ""
        self._failed = ""

    @property
    def state(self) -> LogDirState.ValueType:
        if self._failed:
            return broker_pb2.OFFLINE
        if self._stalled:
            return broker_pb2.STALLED
        return broker_pb2.READ_ONLY if self._full else broker_pb2.ONLINE

    @property
    def reason(self) -> str:
        """Why it is not ONLINE, as a sentence; empty when it is."""
        return self._failed or self._stalled or self._full

    @property
    def is_offline(self) -> bool:
        return bool(self._failed)

    @property
    def is_full(self) -> bool:
        """Appends are refused for want of room, whatever else is the case."""
        return bool(self._full)

    @property
    def is_stalled(self) -> bool:
        """A flush is late, whatever else is the case."""
        return bool(self._stalled)

    def measured(self, space: FileSystemSpace) -> bool:
        """The file system has so much room now."""
        before = self.state
        self.space = space
        self._free_now = space.free
        if self._has_default_threshold:
            self.min_free_bytes = default_min_free_bytes(space.total)
        if space.free < self.min_free_bytes:
            self._become_full()
        elif space.free > RESUME_FACTOR * self.min_free_bytes:
            self._full = ""
        return self.state != before

    def wrote(self, size: int) -> bool:
        """So many bytes were appended since the room was measured."""
        self._free_now -= size
        if self._full or self._free_now >= self.min_free_bytes:
            return False
        before = self.state
        self._become_full()
        return self.state != before

    def ran_out_of_space(self) -> bool:
        """A write met ENOSPC, whatever was measured."""
        before = self.state
        self._full = self._full or f"{self.path} is full: a write found no space left"
        return self.state != before

    def stalled(self, after_ms: int) -> bool:
        """A flush has run for so long and is not done."""
        before = self.state
        self._stalled = f"A flush of {self.path} has run for more than {after_ms} ms"
        return self.state != before

    def answered(self) -> bool:
        """The flush that was late is done."""
        before = self.state
        self._stalled = ""
        return self.state != before

    def failed(self, what: str, error: OSError) -> bool:
        """A write or flush failed; what it means for the bytes on disk is unknown."""
        before = self.state
        self._failed = self._failed or f"{what} {self.path} failed: {error.strerror or error}"
        return self.state != before

    def check_appendable(self, topic_min_free_bytes: int = -1) -> None:
        """Raise DiskFullError, DiskStalledError or StorageFailedError if nothing may be appended now.

        A topic may ask that more be left free than the broker does.
        """
        if self._failed:
            raise StorageFailedError(self._failed)
        if self._stalled:
            raise DiskStalledError(self._stalled)
        if self._full:
            raise DiskFullError(self._full)
        if self._free_now < topic_min_free_bytes:
            raise DiskFullError(
                f"{self.path} has {self._free_now} bytes free; the topic keeps {topic_min_free_bytes}"
            )

    def check_readable(self) -> None:
        """Raise StorageFailedError if the directory failed."""
        if self._failed:
            raise StorageFailedError(self._failed)

    def _become_full(self) -> None:
        self._full = f"{self.path} has {self._free_now} bytes free and keeps {self.min_free_bytes} free"
