"""All logs of a broker: which there are, in which directory, and the state of the disks under them.

The one door to a log for whoever changes it: appends, flush requests, cuts and removals go through here, so
that what a disk does to one log is known to all of its directory. Call it from the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from streamkeep_broker.log.checkpoints import BEGINNING
from streamkeep_broker.log.directory import LogDirectory
from streamkeep_broker.log.file_cache import FileCache
from streamkeep_broker.log.flusher import nobody_measures
from streamkeep_broker.log.identity import read_boot_id
from streamkeep_broker.log.open_directory import OpenDirectory
from streamkeep_broker.log.open_logs import OpenLogs
from streamkeep_broker.log.opening import Opening
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.partition_name import PartitionName, directory_name
from streamkeep_broker.log.rebuilding import Rebuilding
from streamkeep_broker.log.startup import Held, claim_directories
from streamkeep_broker.log.upkeep import Upkeep
from streamkeep_broker.log.volume import Volume
from streamkeep_broker.log.writable_log import Appended
from streamkeep_common.errors import StorageFailedError
from streamkeep_common.records.frame import FRAME_HEADER_BYTES
from streamkeep_common.seams import Clock, Disk, Workers
from streamkeep_common.settings import BrokerSettings, TopicSettings
from streamkeep_proto.v1.records_pb2 import RecordBatch

FILE_DELETE_DELAY_MS = 60_000
"""Whoever still reads a removed file can go on for so long."""

STOP_TIMEOUT_S = 1.5
"""A broker has 2 s to stop, and others need some of it; what is not flushed by then is scanned next time."""

_logger = logging.getLogger(__name__)


class StillLeavingError(StorageFailedError):
    """The partition's last log is not out of the way yet: a matter of moments, and told by `on_change`."""


class LogManager:
    """The logs of one broker over its log directories.

    `on_directory_change` is called, on the event loop, with each directory whose state changed.
    """

    def __init__(
        self,
        *,
        directories: Sequence[Path],
        disk: Disk,
        workers: Workers,
        clock: Clock,
        rng: random.Random,
        settings: BrokerSettings,
        on_directory_change: Callable[[LogDirectory], None],
        file_delete_delay_ms: int = FILE_DELETE_DELAY_MS,
    ) -> None:
        self.directories = [
            LogDirectory(path, min_free_bytes=settings.min_free_bytes) for path in directories
        ]
        self.cluster_id: str | None = None
        """Which cluster the directories belong to; None until they were bound to one."""
        self.cluster_epoch = 0
        """The newest epoch of it that any of them has seen; 0 = none."""
        self.clean_start = False
        """The last stop was clean, or the directories are new."""
        self.boot_id = ""
        """The id of this start of the machine."""
        self.on_flush: Callable[[float], None] = nobody_measures
        """Called after each flush with the seconds it took; to be set before `start`."""
        self._disk = disk
        self._workers = workers
        self._clock = clock
        self._rng = rng
        self._settings = settings
        self._on_directory_change = on_directory_change
        self._delete_delay_ms = file_delete_delay_ms
        self._files = FileCache(disk, capacity=settings.max_open_files)
        self._volumes: dict[int, Volume] = {}
        self._open: list[OpenDirectory] = []
        self._logs = OpenLogs(disk, self._files)
        self._upkeep: Upkeep | None = None
        self._rebuilding = Rebuilding(disk=disk, clock=clock, recover=self._logs.recover)

    def __iter__(self) -> Iterator[PartitionLog]:
        return iter(self._logs)

    def __len__(self) -> int:
        return len(self._logs)

    # --- start and stop ---

    async def start(self) -> None:
        """Claim the directories, open their logs, and look after them from now on.

        Raises DirectoryRefusedError when a person must decide, StorageFailedError when no directory works.
        """
        held = await claim_directories(
            self.directories,
            disk=self._disk,
            workers=self._workers,
            broker_id=self._settings.id,
            rng=self._rng,
        )
        try:
            opening = await self._open_all(held)
        except BaseException:
            await self.stop()
            raise
        self._upkeep = Upkeep(
            self._open,
            open_rest=opening.open_rest,
            clock=self._clock,
            retention_check_ms=self._settings.retention_check_ms,
            checkpoint_ms=self._settings.checkpoint_ms,
            producer_expiration_ms=self._settings.producer_expiration_ms,
        )
        self._upkeep.start()

    async def stop(self) -> None:
        """Flush everything, leave the directories marked clean, give them back. At most 1.5 s.

        What a disk does not take in that time is scanned at the next start.
        """
        if self._upkeep is not None:
            await self._upkeep.stop()
        await self._rebuilding.stop()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await asyncio.gather(*(home.stop() for home in self._open))
                for volume in self._volumes.values():
                    await volume.close()
        except TimeoutError:
            # A thread may still be writing, so the locks stay until the process ends.
            _logger.error("the disks did not take everything in %s s; the next start scans", STOP_TIMEOUT_S)
        else:
            for home in self._open:
                home.claim.lock.release()
        self._open.clear()
        self._volumes.clear()

    async def bind_cluster(self, cluster_id: str, cluster_epoch: int) -> None:
        """Say for ever which cluster the directories belong to, and that it has been at this epoch; one whose
        disk fails goes offline.

        Raises ClusterMismatchError, DiskFullError.
        """
        for home in self._open:
            if home.directory.is_offline:
                continue
            try:
                await home.bind(cluster_id, cluster_epoch)
            except OSError as error:
                failure = home.write_failed(error)
                if not home.directory.is_offline:
                    raise failure from error
        self.cluster_id = cluster_id
        self.cluster_epoch = max(self.cluster_epoch, cluster_epoch)

    # --- logs ---

    def get(self, topic_id: bytes, partition: int) -> PartitionLog | None:
        """The partition's log, if the broker has one."""
        return self._logs.get((topic_id, partition))

    def directory_of(self, log: PartitionLog) -> LogDirectory:
        """Where the log is."""
        return self._logs.home_of(log).directory

    def create(
        self, topic_id: bytes, topic: str, partition: int, directory_id: bytes, settings: TopicSettings
    ) -> PartitionLog:
        """Make an empty log. Raises StorageFailedError or DiskFullError.

        It is durable with the first flush that it takes part in; until then nothing is acknowledged from it.
        """
        assert self.get(topic_id, partition) is None
        home = self._home(directory_id)
        home.directory.check_readable()
        name = PartitionName(topic, partition, topic_id)
        path = home.path / directory_name(topic_id, topic, partition)
        if home.is_leaving(path.name):
            raise StillLeavingError(f"{path} is still on its way out")
        if path.name in home.unopened:
            raise StorageFailedError(f"{path} cannot be opened yet: {home.directory.reason or 'see the log'}")
        try:
            self._disk.make_directories(path)
            recovered = self._logs.recover(settings, path, BEGINNING)
        except OSError as error:
            raise home.write_failed(error) from error
        home.volume.flusher.add_names(home.path)
        return self._logs.add(home, name, recovered, settings)

    def delete(self, topic_id: bytes, partition: int) -> None:
        """Forget the log now; its files are renamed soon and removed later. KeyError if there is none."""
        log, home = self._logs.pop((topic_id, partition))
        self._rebuilding.after(log, partial(home.delete, log.path.name))

    def set_aside(self, topic_id: bytes, partition: int) -> None:
        """Forget the log now; its directory is renamed soon, to a name that ends with `.misplaced`, and stays
        until a person removes it. KeyError if there is none."""
        log, home = self._logs.pop((topic_id, partition))
        self._rebuilding.after(log, partial(home.set_aside, log.path.name))

    def append(
        self, log: PartitionLog, batch: RecordBatch, payload: bytes, *, leader_epoch: int, now_ms: int
    ) -> Appended:
        """As `PartitionLog.append`, if the directory may be written.

        Raises DiskFullError, DiskStalledError, StorageFailedError; CorruptLogError from the log.
        """
        home = self._logs.home_of(log)
        home.directory.check_appendable(log.settings.min_free_bytes)
        try:
            appended = log.append(batch, payload, leader_epoch=leader_epoch, now_ms=now_ms)
        except OSError as error:
            raise home.write_failed(error) from error
        home.wrote(FRAME_HEADER_BYTES + len(payload))
        return appended

    def append_frames(
        self, log: PartitionLog, frames: bytes, *, previous_end_offset: int, leader_epoch: int
    ) -> None:
        """As `PartitionLog.append_frames`, if the directory may be written. Raises as `append` too."""
        home = self._logs.home_of(log)
        home.directory.check_appendable(log.settings.min_free_bytes)
        try:
            log.append_frames(frames, previous_end_offset=previous_end_offset, leader_epoch=leader_epoch)
        except OSError as error:
            raise home.write_failed(error) from error
        home.wrote(len(frames))

    async def truncate(self, log: PartitionLog, offset: int) -> None:
        """Cut the end of the log off so that no frame of it reaches above `offset`, which is at or above the
        log start. Records below the high watermark may go: then it is lowered, which is logged as loss.

        A power cut in the middle leaves the log as it was, or cut, or something between that ends above.
        While it runs, which goes on if the caller is cancelled, nothing can be appended. Raises
        StorageFailedError, DiskFullError; CorruptLogError, from a log with defects too; OffsetOutOfRangeError
        below the log start.
        """
        await self._rebuilding.truncate(self._logs.home_of(log), log, offset)

    async def begin_anew(self, log: PartitionLog, offset: int) -> None:
        """Drop all of the log: it is empty then and begins at `offset`. A power cut in the middle leaves it
        as it was or so. Raises StorageFailedError, DiskFullError.
        """
        await self._rebuilding.begin_anew(self._logs.home_of(log), log, offset)

    async def quarantine(self, log: PartitionLog) -> None:
        """Keep all files of the log in a directory beside it, whose name ends with `.damaged`, until a
        person removes them; the log is empty then and begins at 0. Raises StorageFailedError, DiskFullError.
        """
        await self._rebuilding.quarantine(self._logs.home_of(log), log)

    def request_flush(self, log: PartitionLog) -> None:
        """Have the log flushed soon; then its `on_progress` is called.

        A log that acknowledges without it (durability `os`) is flushed every `checkpoint_ms`.
        """
        self._logs.home_of(log).request_flush(log)

    async def checkpoint(self) -> None:
        """Write down log starts, recovery points and high watermarks now, for whoever must know when that
        was done, as tests do; `Upkeep` sees to it by itself."""
        for home in self._open:
            if not home.directory.is_offline:
                await home.checkpoint()

    # --- within ---

    async def _open_all(self, held: list[Held]) -> Opening:
        opening = Opening(
            volumes=self._volumes,
            logs=self._logs,
            disk=self._disk,
            workers=self._workers,
            clock=self._clock,
            stall_ms=self._settings.disk_stall_ms,
            delete_delay_ms=self._delete_delay_ms,
            on_change=self._on_directory_change,
            on_flush=self.on_flush,
        )
        self._open = [opening.take(one) for one in held]
        self.boot_id = read_boot_id(self._disk)
        self.clean_start = all(home.claim.was_stopped_cleanly for home in self._open)
        self.cluster_id = next(filter(None, (home.identity.cluster_id for home in self._open)), None)
        self.cluster_epoch = max((home.identity.cluster_epoch for home in self._open), default=0)
        await opening.open_logs(self._open)
        self._files.close_idle()
        if all(directory.is_offline for directory in self.directories):
            raise StorageFailedError("; ".join(directory.reason for directory in self.directories))
        return opening

    def _home(self, directory_id: bytes) -> OpenDirectory:
        for home in self._open:
            if home.directory.id == directory_id:
                return home
        raise StorageFailedError(f"this broker has no log directory {directory_id.hex()} that works")
