"""A log directory that this process holds, and the logs in it.

It does to them what the state of the disk asks for and knows nothing of when (see `upkeep`). What may
wait for the disk goes through the volume's housekeeper.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path

from streamkeep_broker.log.checkpoints import Checkpoint, write_checkpoints
from streamkeep_broker.log.directory import LogDirectory
from streamkeep_broker.log.file_cache import OUT_OF_DESCRIPTORS
from streamkeep_broker.log.files import OUT_OF_SPACE
from streamkeep_broker.log.identity import Claim, bind_to_cluster, mark_clean, note_opened
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.partition_name import DELETED_SUFFIX, MISPLACED_SUFFIX
from streamkeep_broker.log.removals import Removals
from streamkeep_broker.log.segments import RemovedSegment
from streamkeep_broker.log.startup import FoundLog
from streamkeep_broker.log.volume import Volume
from streamkeep_common.errors import DiskFullError, StorageFailedError, StreamkeepError
from streamkeep_common.seams import Disk

LOGS_PER_TURN = 500
"""How many logs are looked at before other work of the event loop has its turn."""

_logger = logging.getLogger(__name__)


class OpenDirectory:
    """The claimed directory. `logs` are by the names of their directories."""

    def __init__(
        self, directory: LogDirectory, *, claim: Claim, volume: Volume, removals: Removals, disk: Disk
    ) -> None:
        self.directory = directory
        self.claim = claim
        self.identity = claim.identity
        self.volume = volume
        self.removals = removals
        self.logs: dict[str, PartitionLog] = {}
        self.unopened: dict[str, FoundLog] = {}
        """Logs that were found and could not be opened yet. Nobody may make new ones in their places."""
        self.logs_were_opened = False
        """All logs of the directory are in `logs` or in `unopened`."""
        self.start_is_known = claim.was_stopped_cleanly
        """The coordinators know how it was left; until they do, a clean stop would hide one that was not."""
        self._disk = disk
        self._checkpointing = asyncio.Lock()
        self._checkpoints_on_disk: dict[str, Checkpoint] | None = None
        self._renamed_before = 0
        self.checkpointed: dict[str, Checkpoint] = {}
        """Of which logs the checkpoint file on disk may speak."""
        self._leaving: dict[str, bool] = {}
        """Names of logs that were let go, and whether their directories have been renamed."""
        self._leaving_is_awaited = False

    @property
    def path(self) -> Path:
        return self.directory.path

    async def bind(self, cluster_id: str, cluster_epoch: int) -> None:
        """Belong to this cluster for ever. Raises ClusterMismatchError, OSError."""
        self.identity = await self.volume.keep_house(
            partial(bind_to_cluster, self._disk, self.path, self.identity, cluster_id, cluster_epoch)
        )
        self.start_is_known = True

    async def note_opened(self) -> None:
        """After its logs were opened, if all of them could be. A failure becomes the directory's state."""
        if not self.logs_were_opened or self.unopened or self.directory.is_offline:
            return
        try:
            self.identity = await self.volume.keep_house(
                partial(note_opened, self._disk, self.path, self.identity)
            )
        except OSError as error:
            self.write_failed(error)

    # --- writing ---

    def wrote(self, size: int) -> None:
        """So many bytes were appended."""
        if self.directory.wrote(size):
            self.volume.on_change(self.directory)

    def write_failed(self, error: OSError) -> StreamkeepError:
        """Take over what a failed write says of the disk; returns what to tell whoever wanted it."""
        if error.errno in OUT_OF_SPACE:
            self.volume.ran_out_of_space()
            return DiskFullError(self.directory.reason)
        if error.errno in OUT_OF_DESCRIPTORS:  # which says nothing of the disk
            return StorageFailedError(f"{error.strerror} on the way to {self.path}")
        if self.directory.failed("A write to", error):
            self.volume.on_change(self.directory)
        return StorageFailedError(self.directory.reason)

    def request_flush(self, log: PartitionLog) -> None:
        """Flush the log soon if its topic is acknowledged by that; `flush_unhurried` looks after others."""
        if not log.is_suspended and (log.settings.durability == "fsync" or log.needs_flush):
            self.volume.flusher.request(log)

    def flush_unhurried(self) -> None:
        """Flush every log that has something to flush."""
        for log in self.logs.values():
            self.flush_if_needed(log)

    def flush_if_needed(self, log: PartitionLog) -> None:
        """Flush the log if it has something to flush."""
        if _is_unflushed(log):
            self.volume.flusher.request(log)

    # --- checkpoints ---

    async def checkpoint(self) -> None:
        """Write down where each log starts and how far it is on disk, if that changed.

        A failure becomes the directory's state.
        """
        try:
            await self.write_checkpoint()
        except OSError as error:
            self.write_failed(error)

    async def write_checkpoint(self) -> None:
        """The same; raises OSError."""
        async with self._checkpointing:  # or an older one might be written over a newer one
            gone = [name for name, is_renamed in self._leaving.items() if is_renamed]
            checkpoints = await self._collect_checkpoints()
            if checkpoints != self._checkpoints_on_disk:
                self._checkpoints_on_disk = None
                self.checkpointed = self.checkpointed | checkpoints
                await self.volume.keep_house(partial(write_checkpoints, self._disk, self.path, checkpoints))
                self._checkpoints_on_disk = self.checkpointed = checkpoints
            self._forget_names(gone)

    async def _collect_checkpoints(self) -> dict[str, Checkpoint]:
        checkpoints = {name: found.checkpoint for name, found in self.unopened.items()}
        for number, (name, log) in enumerate(list(self.logs.items()), start=1):
            checkpoints[name] = checkpoint_of(log)
            if number % LOGS_PER_TURN == 0:
                await asyncio.sleep(0)
        return checkpoints

    # --- removing ---

    async def release(self, unneeded: list[RemovedSegment]) -> None:
        """Remove segments that their logs have let go, once the log starts are written down.

        On a full disk they cannot always be: then an empty file, which takes no room, says where the log
        starts before each segment goes. What took their place, a new segment and what is known of
        producers, is flushed meanwhile.
        """
        self.flush_unhurried()
        await self.checkpoint()
        remove = _remove_segment if self._checkpoints_on_disk is not None else _mark_start_and_remove
        for segment in unneeded:
            self.removals.put(partial(remove, self._disk, segment))

    def is_leaving(self, name: str) -> bool:
        """A log of that name was let go and there cannot be a new one yet: `on_change` tells when there can.

        Its directory must be out of the way, and its checkpoint, which would be taken for the new one's.
        """
        is_leaving = name in self._leaving or name in self.logs
        self._leaving_is_awaited = self._leaving_is_awaited or is_leaving
        return is_leaving

    def _forget_names(self, gone: list[str]) -> None:
        for name in gone:
            del self._leaving[name]
        if gone and self._leaving_is_awaited:
            self._leaving_is_awaited = False
            self.volume.on_change(self.directory)

    def delete(self, name: str) -> None:
        """The log is gone for good: its directory is renamed once no flush uses it, and removed later."""
        log = self.logs.pop(name)
        self._leaving[name] = False
        self.volume.flusher.forget(log, partial(self._rename_deleted, log))

    def set_aside(self, name: str) -> None:
        """The log is not to be used, and stays on disk: its directory is renamed once no flush uses it."""
        log = self.logs.pop(name)
        self._leaving[name] = False
        self.volume.flusher.forget(log, partial(self._rename_misplaced, log))

    def _rename_deleted(self, log: PartitionLog) -> None:
        doomed = self._rename(log, DELETED_SUFFIX)
        if doomed is not None:
            self.removals.put(partial(_remove_log, self._disk, log, doomed))

    def _rename_misplaced(self, log: PartitionLog) -> None:
        self._rename(log, MISPLACED_SUFFIX)
        log.close_files()

    def _rename(self, log: PartitionLog, suffix: str) -> Path | None:
        """Where the log is now; None if the disk refused, so that the next start finds it where it was."""
        renamed = self.free_name(log.path.name, suffix)
        try:
            self._disk.rename(log.path, renamed)
        except OSError:  # it stays among those that leave: nothing may take its place
            _logger.exception("%s could not be renamed to %s", log.path, renamed)
            log.close_files()
            return None
        self.volume.flusher.add_names(self.path)
        self._leaving[log.path.name] = True
        if log.path.name not in self.checkpointed:
            self._forget_names([log.path.name])
        return renamed

    def remove_leftovers(self, names: list[str]) -> None:
        """Remove what was deleted in an earlier life."""
        for name in names:
            self.removals.put(partial(self._disk.remove_tree, self.path / name))

    def free_name(self, name: str, suffix: str) -> Path:
        """Where a log's directory can be moved to."""
        while True:
            self._renamed_before += 1
            free = self.path / f"{name}.{self._renamed_before}{suffix}"
            if not self._disk.exists(free):
                return free

    # --- stopping ---

    async def stop(self) -> None:
        """Flush and close every log, and leave the directory marked clean if all of that succeeds."""
        self.flush_unhurried()
        await self.volume.flusher.settle()
        if not self._can_be_left_clean():
            return
        await self.checkpoint()
        try:
            await self.volume.keep_house(self._close_cleanly)
        except OSError:
            _logger.exception("%s could not be left clean; the next start scans it", self.path)

    def _can_be_left_clean(self) -> bool:
        """Corrupt logs are looked at again by every start."""
        return (
            self.logs_were_opened
            and not self.unopened
            and self.start_is_known
            and not self.directory.is_offline
            and not any(_is_unflushed(log) or log.is_suspended or log.defects for log in self.logs.values())
        )

    def _close_cleanly(self) -> None:
        for log in self.logs.values():
            log.close()
        self.volume.sync()
        mark_clean(self._disk, self.path)


def checkpoint_of(log: PartitionLog) -> Checkpoint:
    """What may be relied on after a power cut: nothing in it is past the flushed end.

    A corrupt log is scanned again from its first defect on, so that it is found again. Of one that is being
    rebuilt only that may be relied on which is true of every state on the way.
    """
    if log.lowered is not None:
        return log.lowered
    flushed_end = log.flushed_end_offset
    return Checkpoint(
        log_start_offset=log.log_start_offset,
        recovery_point=min([flushed_end, *(defect.offset for defect in log.defects)]),
        high_watermark=min(log.high_watermark, flushed_end),
    )


def _is_unflushed(log: PartitionLog) -> bool:
    return not log.is_suspended and (log.flushed_end_offset < log.log_end_offset or log.needs_flush)


def _remove_segment(disk: Disk, segment: RemovedSegment) -> None:
    for file in segment.files:
        file.close()
    if segment.is_taken_over():
        return
    for path in segment.paths:
        disk.remove_file(path)


def _mark_start_and_remove(disk: Disk, segment: RemovedSegment) -> None:
    if not segment.is_taken_over():
        try:
            disk.open(segment.start_path, create=True).close()
            disk.sync_directory(segment.start_path.parent)
        except OSError as error:
            if error.errno not in OUT_OF_SPACE:
                raise
            # Not even a name finds room: after a crash now the replica would be copied anew.
    _remove_segment(disk, segment)


def _remove_log(disk: Disk, log: PartitionLog, doomed: Path) -> None:
    log.close_files()
    disk.remove_tree(doomed)
