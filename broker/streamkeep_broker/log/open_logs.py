"""The logs that a broker has open: each by its partition, and with the directory that it lies in.

There is never more than one of a partition. Knows how a log is made of its files, nothing of when.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from streamkeep_broker.log.checkpoints import Checkpoint
from streamkeep_broker.log.files import Files
from streamkeep_broker.log.open_directory import OpenDirectory
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.partition_name import PartitionName
from streamkeep_broker.log.readable_log import Key
from streamkeep_broker.log.recovery import RecoveredLog, recover_log
from streamkeep_common.seams import Disk
from streamkeep_common.settings import TopicSettings

_logger = logging.getLogger(__name__)


class OpenLogs:
    """See the module."""

    def __init__(self, disk: Disk, files: Files) -> None:
        self._disk = disk
        self._files = files
        self._logs: dict[Key, PartitionLog] = {}
        self._homes: dict[PartitionLog, OpenDirectory] = {}

    def __iter__(self) -> Iterator[PartitionLog]:
        return iter(self._logs.values())

    def __len__(self) -> int:
        return len(self._logs)

    def get(self, key: Key) -> PartitionLog | None:
        """The partition's log, if the broker has one."""
        return self._logs.get(key)

    def home_of(self, log: PartitionLog) -> OpenDirectory:
        """Where the log is. KeyError if it was let go."""
        return self._homes[log]

    def recover(
        self,
        settings: TopicSettings,
        path: Path,
        checkpoint: Checkpoint,
        *,
        clean: bool = False,
        same_boot: bool = True,
    ) -> RecoveredLog:
        """As `recover_log`, which is blocking. By default the log is new, or this process had it open. Raises
        OSError."""
        return recover_log(
            self._disk,
            self._files,
            path,
            checkpoint=checkpoint,
            clean=clean,
            same_boot=same_boot,
            settings=settings,
        )

    def add(
        self, home: OpenDirectory, name: PartitionName, recovered: RecoveredLog, settings: TopicSettings
    ) -> PartitionLog:
        """Open what was recovered in a directory of `home`. If there is a log of the partition already, one
        of the two is set aside."""
        for note in recovered.notes:
            _logger.warning("%s", note)
        log = PartitionLog(
            recovered,
            topic_id=name.topic_id,
            topic=name.topic,
            partition=name.partition,
            settings=settings,
            disk=self._disk,
            files=self._files,
            reader=home.volume.reader,
        )
        home.logs[log.path.name] = log
        self._homes[log] = home
        before = self._logs.get(log.key)
        self._logs[log.key] = log if before is None else self._keep_one(before, log)
        return log

    def pop(self, key: Key) -> tuple[PartitionLog, OpenDirectory]:
        """Let the partition's log go. KeyError if there is none."""
        log = self._logs.pop(key)
        return log, self._homes.pop(log)

    def _keep_one(self, one: PartitionLog, other: PartitionLog) -> PartitionLog:
        """A replica moved between directories, and the disk failed before the old log could be set aside. The
        one that was written later has the later leader epoch."""
        kept = max(one, other, key=lambda log: (log.last_epoch, log.log_end_offset))
        left = other if kept is one else one
        _logger.warning(
            "%s and %s are logs of the same partition: the latter is set aside", kept.path, left.path
        )
        self._homes.pop(left).set_aside(left.path.name)
        return kept
