"""What follows when a broker has claimed its log directories: each is put on its volume, its logs are opened.

Directories on the same file system share a volume. One whose disk fails goes offline, and the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from streamkeep_broker.log.directory import LogDirectory
from streamkeep_broker.log.open_directory import OpenDirectory
from streamkeep_broker.log.open_logs import OpenLogs
from streamkeep_broker.log.removals import Removals
from streamkeep_broker.log.startup import Held, look_into, recover_logs
from streamkeep_broker.log.volume import Volume
from streamkeep_common.seams import Clock, Disk, Workers
from streamkeep_common.settings import TopicSettings

UNKNOWN_SETTINGS = TopicSettings.of({"retention_ms": "-1", "retention_bytes": "-1"})
"""Of a log that was found, until its topic's settings are known: nothing of it may expire meanwhile."""

_logger = logging.getLogger(__name__)


class Opening:
    """One start's. It adds to `volumes`, by the ids of their file systems, and to `logs`."""

    def __init__(
        self,
        *,
        volumes: dict[int, Volume],
        logs: OpenLogs,
        disk: Disk,
        workers: Workers,
        clock: Clock,
        stall_ms: int,
        delete_delay_ms: int,
        on_change: Callable[[LogDirectory], None],
        on_flush: Callable[[float], None],
    ) -> None:
        self._volumes = volumes
        self._logs = logs
        self._disk = disk
        self._workers = workers
        self._clock = clock
        self._stall_ms = stall_ms
        self._delete_delay_ms = delete_delay_ms
        self._on_change = on_change
        self._on_flush = on_flush

    def take(self, held: Held) -> OpenDirectory:
        """Put a claimed directory on its volume. Its logs are not open yet."""
        volume = self._volumes.get(held.file_system.id)
        if volume is None:
            volume = self._volumes[held.file_system.id] = Volume(
                held.file_system,
                disk=self._disk,
                workers=self._workers,
                stall_ms=self._stall_ms,
                on_change=self._on_change,
            )
            volume.flusher.on_flush = self._on_flush
        else:
            held.file_system.close()
        held.directory.id = held.claim.identity.directory_id
        volume.directories.append(held.directory)
        removals = Removals(volume, clock=self._clock, delay_ms=self._delete_delay_ms)
        return OpenDirectory(
            held.directory, claim=held.claim, volume=volume, removals=removals, disk=self._disk
        )

    async def open_logs(self, homes: Sequence[OpenDirectory]) -> None:
        """Open the logs of all directories, one directory after the other, and flush what was recovered."""
        for home in homes:
            await self._open_logs_of(home)
        await self._flush_recovered(homes)
        for home in homes:
            await home.note_opened()

    async def _open_logs_of(self, home: OpenDirectory) -> None:
        _say_how_it_was_left(home)
        await home.volume.measure()
        try:
            found = await home.volume.keep_house(partial(look_into, self._disk, home.path))
        except OSError as error:
            home.volume.fail("Listing", error)
            return
        home.checkpointed = found.checkpoints
        home.unopened = found.logs
        home.remove_leftovers(found.deleted)
        await self.open_rest(home)

    async def open_rest(self, home: OpenDirectory) -> None:
        """Open the logs of a directory that are not open yet. Those stay closed that want room, or file
        descriptors, to be put right, and those that have a namesake in another directory meanwhile."""
        due = {
            name: found
            for name, found in home.unopened.items()
            if not home.logs_were_opened or self._logs.get(found.name.key) is None
        }
        recover = partial(
            self._logs.recover,
            UNKNOWN_SETTINGS,
            clean=home.claim.was_stopped_cleanly,
            same_boot=home.claim.same_boot,
        )
        try:
            recovered = await recover_logs(home.path, due, recover=recover, workers=self._workers)
        except OSError as error:
            home.write_failed(error)
            return
        for name, log in recovered.logs.items():
            self._logs.add(home, home.unopened.pop(name).name, log, UNKNOWN_SETTINGS)
        for name, refusal in recovered.refused.items():
            said = home.write_failed(refusal)
            if not home.logs_were_opened:
                _logger.error("%s cannot be opened, which is tried again: %s", home.path / name, said)
        home.logs_were_opened = True

    async def _flush_recovered(self, homes: Sequence[OpenDirectory]) -> None:
        """What a killed process left in the page cache is in the logs again, but perhaps not on disk yet."""
        for home in homes:
            home.volume.flusher.add_names(home.path)
            home.flush_unhurried()
        for volume in self._volumes.values():
            await volume.flusher.settle()


def _say_how_it_was_left(home: OpenDirectory) -> None:
    if not home.claim.was_stopped_cleanly:
        since = "" if home.claim.same_boot else ", and the machine was started anew since"
        _logger.warning("%s was not left clean%s: its logs are scanned", home.path, since)
