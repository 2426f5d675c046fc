"""Group commit: one flush makes durable everything that was appended while the one before it ran.

One `Flusher` for a file system, with a worker of its own, so that the event loop never waits for a disk.
It is armed by `call_soon`, so that all appends of one pass of the loop share a flush. What a flush covers
is captured before it begins and published after it ended. A flush that failed is never tried again: the
kernel has forgotten which bytes did not arrive, and another one would succeed without them.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from streamkeep_broker.log.file_cache import OUT_OF_DESCRIPTORS, CachedFile
from streamkeep_broker.log.files import OUT_OF_SPACE
from streamkeep_broker.log.flush import Flush
from streamkeep_common.seams import Disk, DiskFile, FileSystem, Worker

_logger = logging.getLogger(__name__)


class FlushTarget(Protocol):
    """What must become durable before a log's end may be called flushed."""

    @property
    def files(self) -> Sequence[DiskFile]:
        """Files with bytes that are not on disk; opened through the `FileCache`."""
        ...

    @property
    def directories(self) -> Sequence[Path]:
        """Directories with names that are not on disk."""
        ...

    @property
    def end_offset(self) -> int: ...


class FlushedLog(Protocol):
    """A log, as a flusher sees it."""

    def flush_target(self) -> FlushTarget:
        """Raises OSError if something that belongs to it cannot be written."""
        ...

    def flushed(self, end_offset: int) -> None:
        """Everything below is on disk."""
        ...

    @property
    def needs_flush(self) -> bool:
        """Another flush is wanted although nothing was appended."""
        ...

    @property
    def on_progress(self) -> Callable[[], None]:
        """To be called after `flushed`."""
        ...


class FlushObserver(Protocol):
    """Who is told how the disk does."""

    def flush_is_late(self, flusher: Flusher) -> None:
        """A flush has run for `stall_ms` and is not done."""
        ...

    def flush_answered(self, flusher: Flusher) -> None:
        """The late flush is done."""
        ...

    def flush_lacks_room(self, flusher: Flusher) -> None:
        """A log could not prepare its flush because the disk is full; `retry` tries it again."""
        ...

    def flush_failed(self, flusher: Flusher, error: OSError) -> None:
        """Nothing will ever be flushed again; said once."""
        ...


class _Captured(NamedTuple):
    log: FlushedLog
    target: FlushTarget


class Flusher:
    """Flushes the logs of one file system. Call it from the event loop."""

    def __init__(
        self, file_system: FileSystem, *, disk: Disk, worker: Worker, observer: FlushObserver, stall_ms: int
    ) -> None:
        self.file_system = file_system
        self.on_flush: Callable[[float], None] = nobody_measures
        """Called after each flush that succeeded with the seconds it took."""
        self._disk = disk
        self._worker = worker
        self._observer = observer
        self._stall_s = stall_ms / 1000
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[FlushedLog, None] = {}
        self._forgotten: dict[FlushedLog, Callable[[], None]] = {}
        self._new_names: dict[Path, None] = {}
        self._armed = False
        self._running: asyncio.Future[None] | None = None
        self._late = False
        self._failed = False
        self._settled: list[asyncio.Future[None]] = []

    @property
    def failed(self) -> bool:
        return self._failed

    def request(self, log: FlushedLog) -> None:
        """Flush the log soon; its `flushed` and `on_progress` are called when that is done."""
        if not self._failed:
            self._waiting[log] = None
            self._arm()

    def retry(self) -> None:
        """Try again what could not be prepared for want of room or descriptors."""
        if self._waiting and not self._failed:
            self._arm()

    def add_names(self, directory: Path) -> None:
        """Names were made in a directory: the next flush makes them durable before it publishes anything."""
        self._new_names[directory] = None

    def forget(self, log: FlushedLog, then: Callable[[], None]) -> None:
        """The log is being deleted or rebuilt: flush it no more.

        `then` is called when no flush covers it: now, or when the one under way has ended, well or not. Until
        then its files must stay where they are, or that flush would take the disk for broken.
        """
        self._waiting.pop(log, None)
        if self._running is None:
            then()
        else:
            self._forgotten[log] = then

    async def withdraw(self, log: FlushedLog) -> None:
        """Return when no flush covers the log; until it is requested again none will."""
        released: asyncio.Future[None] = self._loop.create_future()
        self.forget(log, partial(_tell, released))
        await released

    async def barrier(self) -> None:
        """Return when the flush that is under way now, if any, has ended, well or not."""
        if self._running is not None:
            await asyncio.wait([self._running])

    async def settle(self) -> None:
        """Return when no flush is under way or asked for, or when one failed."""
        if self._armed or self._running is not None:
            settled = self._loop.create_future()
            self._settled.append(settled)
            await settled

    def _arm(self) -> None:
        if not self._armed and self._running is None:
            self._armed = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._armed = False
        try:
            captured = self._capture()
        except Exception as error:  # else all that wait would wait for ever
            self._fail(error)
            return
        if not captured:
            self._say_settled()
            return
        files = list(dict.fromkeys(file for _, target in captured for file in target.files))
        directories = dict.fromkeys(path for _, target in captured for path in target.directories)
        directories, self._new_names = {**self._new_names, **directories}, {}
        versions = [_version(file) for file in files]
        began_at = self._loop.time()
        lost_unsynced = any(file.lost_unsynced for file, _ in versions)
        flush = Flush(files, list(directories), whole_file_system=lost_unsynced)
        self._running = self._worker.run(partial(flush.carry_out, self._disk, self.file_system))
        alarm = self._loop.call_later(self._stall_s, self._is_late)
        self._running.add_done_callback(partial(self._finish, captured, versions, alarm, began_at))

    def _capture(self) -> list[_Captured]:
        captured = []
        waiting, self._waiting = self._waiting, {}
        for log in waiting:
            try:
                captured.append(_Captured(log, log.flush_target()))
            except OSError as error:
                if error.errno in OUT_OF_SPACE:
                    self._observer.flush_lacks_room(self)
                elif error.errno not in OUT_OF_DESCRIPTORS:
                    raise
                self._waiting[log] = None
        return captured

    def _is_late(self) -> None:
        self._late = True
        self._observer.flush_is_late(self)

    def _finish(
        self,
        captured: list[_Captured],
        versions: list[tuple[CachedFile, int]],
        alarm: asyncio.TimerHandle,
        began_at: float,
        flush: asyncio.Future[None],
    ) -> None:
        alarm.cancel()
        self._running = None
        if flush.cancelled():  # only when the loop itself is torn down
            return
        if (error := flush.exception()) is not None:
            self._fail(error)
            return
        self.on_flush(self._loop.time() - began_at)
        if self._late:
            self._late = False
            self._observer.flush_answered(self)
        for file, version in versions:
            file.mark_synced(version)
        for log, target in captured:
            _publish(log, target.end_offset)
            if log.needs_flush and log not in self._forgotten:
                self._waiting[log] = None
        self._let_go()
        if self._waiting:
            self._arm()
        else:
            self._say_settled()

    def _fail(self, error: BaseException) -> None:
        self._failed = True
        self._waiting.clear()
        if not isinstance(error, OSError):
            _logger.error("a flush met something that is not an error of the disk", exc_info=error)
            error = OSError(errno.EIO, repr(error))
        self._observer.flush_failed(self, error)
        self._let_go()
        self._say_settled()

    def _let_go(self) -> None:
        """The flush that may have covered forgotten logs has ended."""
        forgotten, self._forgotten = self._forgotten, {}
        for then in forgotten.values():
            then()

    def _say_settled(self) -> None:
        if self._armed:
            return
        waiting, self._settled = self._settled, []
        for settled in waiting:
            _tell(settled)


def _tell(waiting: asyncio.Future[None]) -> None:
    """Whoever waits may have been cancelled meanwhile."""
    if not waiting.done():
        waiting.set_result(None)


def nobody_measures(_seconds: float) -> None:
    """Until somebody wants to know how long flushes take."""


def _version(file: DiskFile) -> tuple[CachedFile, int]:
    assert isinstance(file, CachedFile), "logs open their files through the cache"
    return file, file.version


def _publish(log: FlushedLog, end_offset: int) -> None:
    try:
        log.flushed(end_offset)
        log.on_progress()
    except Exception:
        # One partition's trouble must not keep the others from hearing that they are safe.
        _logger.exception("a flush was done, but %r could not take note of it", log)
