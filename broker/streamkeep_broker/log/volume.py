"""A file system with log directories on it: its flusher, its housekeeper, its room.

Three threads serve it. One does nothing but flush, one reads what is not in memory, and the housekeeper
does everything else that may wait for the disk: checkpoints, removals, measuring. Knows directories, not
logs.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

from streamkeep_broker.log.directory import LogDirectory
from streamkeep_broker.log.flusher import Flusher
from streamkeep_common.seams import Disk, FileSystem, Workers

T = TypeVar("T")


class Volume:
    """One file system. `on_change` is called with each directory whose state changed."""

    def __init__(
        self,
        file_system: FileSystem,
        *,
        disk: Disk,
        workers: Workers,
        stall_ms: int,
        on_change: Callable[[LogDirectory], None],
    ) -> None:
        self.directories: list[LogDirectory] = []
        self._file_system = file_system
        self._stall_ms = stall_ms
        self.on_change = on_change
        self._flush_worker = workers.start(f"flush-{file_system.id}")
        self._housekeeper = workers.start(f"disk-{file_system.id}")
        self.reader = workers.start(f"read-{file_system.id}")
        self.flusher = Flusher(
            file_system, disk=disk, worker=self._flush_worker, observer=self, stall_ms=stall_ms
        )

    @property
    def is_full(self) -> bool:
        return any(directory.is_full for directory in self.directories)

    async def keep_house(self, work: Callable[[], T]) -> T:
        """Do something that may wait for the disk. Raises what it raises."""
        return await self._housekeeper.run(work)

    async def measure(self) -> None:
        """Look how much room there is, and tell the directories. A failure takes them offline."""
        try:
            space = await self.keep_house(self._file_system.space)
        except OSError as error:
            self.fail("Measuring", error)
            return
        self._tell(lambda directory: directory.measured(space))

    def sync(self) -> None:
        """Make durable what closing logs wrote, where that can be done at once. Blocking. Raises OSError."""
        try:
            self._file_system.sync()
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise

    def fail(self, what: str, error: OSError) -> None:
        """Take all directories offline: they share what failed."""
        self._tell(lambda directory: directory.failed(what, error))

    def ran_out_of_space(self) -> None:
        """A write found no room."""
        self._tell(LogDirectory.ran_out_of_space)

    async def close(self) -> None:
        """End the threads after what they have to do."""
        for worker in (self._flush_worker, self.reader, self._housekeeper):
            await worker.close()
        self._file_system.close()

    def flush_is_late(self, flusher: Flusher) -> None:
        assert flusher is self.flusher
        self._tell(lambda directory: directory.stalled(self._stall_ms))

    def flush_answered(self, flusher: Flusher) -> None:
        assert flusher is self.flusher
        self._tell(LogDirectory.answered)

    def flush_lacks_room(self, flusher: Flusher) -> None:
        assert flusher is self.flusher
        self.ran_out_of_space()

    def flush_failed(self, flusher: Flusher, error: OSError) -> None:
        assert flusher is self.flusher
        self.fail("A flush of", error)

    def _tell(self, event: Callable[[LogDirectory], bool]) -> None:
        for directory in self.directories:
            if event(directory):
                self.on_change(directory)
