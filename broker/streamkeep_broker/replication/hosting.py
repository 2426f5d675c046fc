"""Which log a replica of this broker gets: the one that is there, or an empty one in the named directory.

The image names a log directory for each replica. What lies in another one is not that replica: the directory
was gone once, or the replica moved, and others have gone on since. It is set aside, never served, and never
are there two logs of one partition.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_common.errors import StorageFailedError
from streamkeep_common.image import PartitionImage, TopicImage
from streamkeep_common.settings import TopicSettings

_logger = logging.getLogger(__name__)


class HostedLog(NamedTuple):
    """A replica's log. `is_lost`: it is empty, and the image counts on what was in it."""

    log: PartitionLog
    is_lost: bool


class Hosting:
    """Finds and makes the logs of one broker's replicas."""

    def __init__(self, logs: LogManager, *, broker_id: int) -> None:
        self._logs = logs
        self._broker_id = broker_id

    def open(self, topic: TopicImage, image: PartitionImage) -> HostedLog:
        """The log that the image names. Raises StreamkeepError if it cannot be had now."""
        settings = TopicSettings.of(topic.settings)
        directory_id = image.directory_of(self._broker_id)
        assert directory_id is not None
        log = self._logs.get(image.topic_id, image.partition)
        if log is not None and not self.is_at_home(log, image):
            self._set_aside(log, directory_id)
            log = None
        if log is not None:
            _check_epoch(log, image)
            log.settings = settings
            return HostedLog(log, is_lost=False)
        made = self._logs.create(image.topic_id, topic.name, image.partition, directory_id, settings)
        is_lost = self._is_counted_on(image)
        if is_lost:
            _logger.warning(
                "%s-%d begins empty at leader epoch %d: if it was here before, its files are gone",
                topic.name,
                image.partition,
                image.leader_epoch,
            )
        return HostedLog(made, is_lost)

    def is_at_home(self, log: PartitionLog, image: PartitionImage) -> bool:
        """The log is in the directory that the image names."""
        return self._logs.directory_of(log).id == image.directory_of(self._broker_id)

    def _set_aside(self, log: PartitionLog, directory_id: bytes) -> None:
        if not any(each.id == directory_id and not each.is_offline for each in self._logs.directories):
            raise StorageFailedError(f"this broker has no log directory {directory_id.hex()} that works")
        _logger.warning(
            "%s is to be in log directory %s: what %s has of it is set aside",
            log.name,
            directory_id.hex(),
            self._logs.directory_of(log).path,
        )
        self._logs.set_aside(*log.key)

    def _is_counted_on(self, image: PartitionImage) -> bool:
        """The partition has changed since it was made, and this replica is one of those with its data."""
        members = (*image.isr, *image.elr, *image.last_members)
        return image.partition_epoch > 1 and self._broker_id in members


def _check_epoch(log: PartitionLog, image: PartitionImage) -> None:
    """Raise StorageFailedError if the log has seen a later leader epoch than the cluster knows of."""
    if log.leader_epochs.latest > image.leader_epoch:
        raise StorageFailedError(
            f"{log.name} was written under leader epoch {log.leader_epochs.latest}, and the "
            f"cluster is at {image.leader_epoch}: its metadata went back, or the directory is another's"
        )
