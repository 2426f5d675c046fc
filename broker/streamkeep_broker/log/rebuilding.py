"""Changes to what a log already holds: cutting it back, beginning it anew, quarantining it as damaged.

Each is a crash on purpose. The log is suspended, what a recovery may rely on is lowered durably, a worker
changes the files, and what recovery makes of them is the log from then on. One change of a log at a time;
one that has begun goes on even if nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from streamkeep_broker.log.begin_anew import order_to_begin_anew
from streamkeep_broker.log.checkpoints import BEGINNING, Checkpoint
from streamkeep_broker.log.cut_back import Cut, cut_back, find_cut
from streamkeep_broker.log.open_directory import OpenDirectory, checkpoint_of
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.partition_name import DAMAGED_SUFFIX
from streamkeep_broker.log.recovery import RecoveredLog
from streamkeep_common.errors import CorruptLogError, OffsetOutOfRangeError, StorageFailedError
from streamkeep_common.seams import Clock, Disk
from streamkeep_common.settings import TopicSettings

RETRY_S = 1.0
"""After an error that may end by itself, such as a full disk."""

T = TypeVar("T")

_logger = logging.getLogger(__name__)


class Recover(Protocol):
    """Opens a log that was not closed. Blocking. Raises OSError."""

    def __call__(self, settings: TopicSettings, path: Path, checkpoint: Checkpoint) -> RecoveredLog: ...


class Rebuilding:
    """The changes under way."""

    def __init__(self, *, disk: Disk, clock: Clock, recover: Recover) -> None:
        self._disk = disk
        self._clock = clock
        self._recover = recover
        self._under_way: dict[PartitionLog, asyncio.Task[None]] = {}

    async def truncate(self, home: OpenDirectory, log: PartitionLog, offset: int) -> None:
        """As LogManager.truncate."""
        await self._carry_out(home, log, partial(self._truncate, home, log, offset))

    async def begin_anew(self, home: OpenDirectory, log: PartitionLog, offset: int) -> None:
        """As LogManager.begin_anew."""
        await self._carry_out(home, log, partial(self._begin_anew, home, log, offset))

    async def quarantine(self, home: OpenDirectory, log: PartitionLog) -> None:
        """As LogManager.quarantine."""
        work = partial(_quarantine_files, self._disk, home, log)
        await self._carry_out(home, log, partial(self._rebuild, home, log, BEGINNING, work))

    def after(self, log: PartitionLog, then: Callable[[], None]) -> None:
        """Call `then` when the change that is under way has ended, well or not; now, if none is."""
        task = self._under_way.get(log)
        if task is None:
            then()
        else:
            task.add_done_callback(lambda _: then())

    async def stop(self) -> None:
        """Wait for no change any more; the next start recovers what they leave."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- one change at a time ---

    async def _carry_out(
        self, home: OpenDirectory, log: PartitionLog, change: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        while (before := self._under_way.get(log)) is not None:
            await asyncio.wait([before])
        if home.logs.get(log.path.name) is not log:
            raise StorageFailedError(f"{log!r} was removed")
        task = self._under_way[log] = asyncio.ensure_future(change())
        task.add_done_callback(partial(self._ended, log))
        await asyncio.shield(task)

    def _ended(self, log: PartitionLog, task: asyncio.Task[None]) -> None:
        del self._under_way[log]
        if not task.cancelled() and (error := task.exception()) is not None:
            # Whoever asked for it may have gone.
            _logger.error("%r could not be rebuilt: %s", log, error)

    # --- the changes ---

    async def _truncate(self, home: OpenDirectory, log: PartitionLog, offset: int) -> None:
        log.check_sound()
        if offset < log.log_start_offset:  # retention may have moved it meanwhile
            raise OffsetOutOfRangeError(f"{log!r} cannot be cut below its beginning, at {offset}")
        if offset >= log.log_end_offset:
            return
        cut = await self._find_cut(home, log, offset)
        _warn_of_loss(log, cut.end_offset)
        lowered = Checkpoint._make(min(known, cut.end_offset) for known in checkpoint_of(log))
        await self._rebuild(home, log, lowered, partial(_cut_back, self._disk, log, cut))

    async def _find_cut(self, home: OpenDirectory, log: PartitionLog, offset: int) -> Cut:
        log.suspend(checkpoint_of(log))
        interval_bytes = log.settings.index_interval_bytes
        find = partial(find_cut, self._disk, log.segments, offset, interval_bytes=interval_bytes)
        try:
            return await home.volume.keep_house(find)
        except CorruptLogError:
            log.cancel_suspension()
            raise
        except OSError as error:
            log.cancel_suspension()
            raise home.write_failed(error) from error

    async def _begin_anew(self, home: OpenDirectory, log: PartitionLog, offset: int) -> None:
        lowered = Checkpoint(min(log.log_start_offset, offset), 0, 0)
        await self._rebuild(home, log, lowered, partial(_order_to_begin_anew, self._disk, log, offset))

    # --- what they share ---

    async def _rebuild(
        self, home: OpenDirectory, log: PartitionLog, lowered: Checkpoint, work: Callable[[], None]
    ) -> None:
        home.directory.check_readable()
        log.suspend(lowered)
        await home.volume.flusher.withdraw(log)
        await self._lower_checkpoint(home, log)
        await self._keep_trying(home, work)
        log.close_files()
        recover = partial(self._recover, log.settings, log.path, lowered)
        recovered = await self._keep_trying(home, recover)
        for note in recovered.notes:
            _logger.warning("%s", note)
        log.resume(recovered)
        home.flush_if_needed(log)

    async def _lower_checkpoint(self, home: OpenDirectory, log: PartitionLog) -> None:
        try:
            await home.write_checkpoint()
        except OSError as error:
            log.cancel_suspension()
            raise home.write_failed(error) from error

    async def _keep_trying(self, home: OpenDirectory, work: Callable[[], T]) -> T:
        """The files are on their way: only a disk that failed for ever may leave them there."""
        while True:
            try:
                return await home.volume.keep_house(work)
            except OSError as error:
                failure = home.write_failed(error)
                if home.directory.is_offline:
                    raise failure from error
            await self._clock.sleep(RETRY_S)


def _warn_of_loss(log: PartitionLog, end_offset: int) -> None:
    lost = log.high_watermark - end_offset
    if lost > 0:
        _logger.warning(
            "%s is cut at offset %d, below its high watermark: up to %d acknowledged records are lost",
            log.name,
            end_offset,
            lost,
        )


def _cut_back(disk: Disk, log: PartitionLog, cut: Cut) -> None:
    cut_back(disk, log.segments, cut, flushed_end_offset=log.flushed_end_offset)


def _order_to_begin_anew(disk: Disk, log: PartitionLog, offset: int) -> None:
    order_to_begin_anew(disk, log.path, offset)


def _quarantine_files(disk: Disk, home: OpenDirectory, log: PartitionLog) -> None:
    if disk.exists(log.path):
        kept = home.free_name(log.path.name, DAMAGED_SUFFIX)
        disk.rename(log.path, kept)
        disk.sync_directory(home.path)
        _logger.warning("%r is damaged; its files are kept in %s", log, kept)
    disk.make_directories(log.path)
    disk.sync_directory(home.path)
