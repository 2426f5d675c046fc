"""All replicas that this broker hosts, kept as the image says.

Nothing is ever deleted because an image lacks it (NATS #7556 lost live streams that way): a log goes only
when a committed record removes its topic, or at the start, when the image that the cluster's own
coordinator named at registration does not know the topic.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from streamkeep_broker.log.directory import LogDirectory
from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.replication.partition import Partition
from streamkeep_common.errors import (
    InvalidSettingError,
    NotLeaderError,
    StorageFailedError,
    StreamkeepError,
    UnknownPartitionError,
    UnknownSettingError,
    UnknownTopicError,
)
from streamkeep_common.image import ClusterImage, ImageDelta, PartitionImage, TopicImage, difference
from streamkeep_common.limits import ID_BYTES
from streamkeep_common.seams import Clock
from streamkeep_common.settings import TopicSettings
from streamkeep_proto.v1.errors_pb2 import LeaderHint

Key = tuple[bytes, int]

_logger = logging.getLogger(__name__)


class Partitions:
    """The hosted partitions by topic id and number."""

    def __init__(self, *, logs: LogManager, clock: Clock, broker_id: int) -> None:
        self._logs = logs
        self._clock = clock
        self._broker_id = broker_id
        self._image = ClusterImage()
        self._partitions: dict[Key, Partition] = {}
        self._failed: dict[Key, StreamkeepError] = {}

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._partitions.values())

    def __len__(self) -> int:
        return len(self._partitions)

    def find(self, topic_id: bytes, partition: int) -> Partition:
        """The hosted partition; whether it leads is its own to say. Raises why it is not here.

        One that could not be hosted is tried again: what was missing, a descriptor for example, may be there.
        """
        found = self._partitions.get((topic_id, partition))
        if found is None and (topic_id, partition) in self._failed:
            self._host_again(topic_id, partition)
            found = self._partitions.get((topic_id, partition))
        if found is None:
            raise self._why_absent(topic_id, partition)
        return found

    # --- what the image says ---

    def begin(self, image: ClusterImage) -> None:
        """Take over the first image that is as recent as the registration, and remove what it does not have.

        What the metadata said earlier must not be acted on: this incarnation never had those epochs.
        """
        self._image = image
        self._update(difference(ClusterImage(), image))
        self._remove_strays()

    def follow(self, delta: ImageDelta) -> None:
        """Act on committed entries."""
        self._image = delta.after
        for topic in delta.removed_topics:
            self._remove(topic)
        self._update(delta)

    def follow_snapshot(self, delta: ImageDelta) -> None:
        """Act on an image that did not come as entries: what it lacks is served no more but stays on disk."""
        self._image = delta.after
        for topic in delta.removed_topics:
            self._set_aside(topic)
        self._update(delta)

    def _remove_strays(self) -> None:
        for log in list(self._logs):
            if log.topic_id not in self._image.topics:
                _logger.warning(
                    "removing %s-%d, topic id %s: the cluster has no such topic at metadata index %d",
                    log.topic,
                    log.partition,
                    log.topic_id.hex(),
                    self._image.index,
                )
                self._logs.delete(log.topic_id, log.partition)

    def _update(self, delta: ImageDelta) -> None:
        for topic_id in delta.changed_settings:
            self._change_settings(delta.after.topics[topic_id])
        for image in delta.changed_partitions:
            if self._broker_id in image.replicas:
                self._host(delta.after.topics[image.topic_id], image)

    def _host(self, topic: TopicImage, image: PartitionImage) -> None:
        key = (image.topic_id, image.partition)
        partition = self._partitions.get(key)
        if partition is None:
            try:
                log = self._open_log(topic, image)
            except StreamkeepError as error:
                if str(error) != str(self._failed.get(key)):
                    _logger.error("%s-%d cannot be hosted: %s", topic.name, image.partition, error)
                self._failed[key] = error
                return
            self._failed.pop(key, None)
            partition = Partition(log, logs=self._logs, clock=self._clock, broker_id=self._broker_id)
            self._partitions[key] = partition
        partition.apply(image, self._hint(image))

    def _open_log(self, topic: TopicImage, image: PartitionImage) -> PartitionLog:
        settings = TopicSettings.of(topic.settings)
        log = self._logs.get(image.topic_id, image.partition)
        if log is not None:
            _check_epoch(log, image)
            log.settings = settings
            return log
        directory_id = image.directory_of(self._broker_id)
        assert directory_id is not None
        if image.leader_epoch > 1:
            _logger.warning(
                "%s-%d begins empty at leader epoch %d: if it was here before, its files are gone",
                topic.name,
                image.partition,
                image.leader_epoch,
            )
        return self._logs.create(image.topic_id, topic.name, image.partition, directory_id, settings)

    def _change_settings(self, topic: TopicImage) -> None:
        try:
            settings = TopicSettings.of(topic.settings)
        except (UnknownSettingError, InvalidSettingError) as error:
            _logger.error("topic %s keeps its settings as they were: %s", topic.name, error)
            return
        for image in topic.partitions:
            partition = self._partitions.get((topic.topic_id, image.partition))
            if partition is not None:
                partition.change_settings(settings)

    def _remove(self, topic: TopicImage) -> None:
        for image in topic.partitions:
            if self._retire(topic, image) is not None:
                _logger.info("deleting %s-%d: the topic was deleted", topic.name, image.partition)
                self._logs.delete(topic.topic_id, image.partition)

    def _set_aside(self, topic: TopicImage) -> None:
        for image in topic.partitions:
            if self._retire(topic, image) is not None:
                _logger.warning(
                    "a metadata snapshot lacks %s-%d, topic id %s: its data is kept, and served no more",
                    topic.name,
                    image.partition,
                    topic.topic_id.hex(),
                )

    def _retire(self, topic: TopicImage, image: PartitionImage) -> Partition | None:
        key = (topic.topic_id, image.partition)
        self._failed.pop(key, None)
        partition = self._partitions.pop(key, None)
        if partition is not None:
            partition.resign(UnknownTopicError(f"topic {topic.name} was deleted"))
        return partition

    # --- what disks and the process say ---

    def storage_failed(self, directory: LogDirectory) -> None:
        """A directory went offline: nothing that waits for it will ever be flushed."""
        for partition in self:
            if self._logs.directory_of(partition.log) is directory:
                partition.storage_failed(StorageFailedError(f"{partition.name}: {directory.reason}"))

    def storage_recovered(self) -> None:
        """A directory works again: what could not be hosted is tried once more."""
        for topic_id, number in list(self._failed):
            self._host_again(topic_id, number)

    def _host_again(self, topic_id: bytes, number: int) -> None:
        image = self._image.partition(topic_id, number)
        if image is not None:
            self._host(self._image.topics[topic_id], image)

    def resign_all(self, error: StreamkeepError) -> None:
        """The process stops: lead nothing, answer everybody."""
        for partition in self:
            partition.resign(error)

    # --- what clients are told ---

    def _hint(self, image: PartitionImage) -> LeaderHint | None:
        leader = self._image.brokers.get(image.leader)
        if leader is None:
            return None
        return LeaderHint(broker_id=image.leader, address=leader.address, leader_epoch=image.leader_epoch)

    def _why_absent(self, topic_id: bytes, number: int) -> StreamkeepError:
        failed = self._failed.get((topic_id, number))
        if failed is not None:
            return failed
        if not self._image.index:
            return NotLeaderError(f"broker {self._broker_id} has just started and has no metadata yet")
        topic = self._image.topics.get(topic_id)
        if topic is None:
            return UnknownTopicError(
                f"broker {self._broker_id} knows no topic with id {topic_id[:ID_BYTES].hex()}"
            )
        if number >= len(topic.partitions):
            return UnknownPartitionError(
                f"topic {topic.name} has {len(topic.partitions)} partitions, and none of number {number}"
            )
        hint = self._hint(topic.partitions[number])
        return NotLeaderError(f"broker {self._broker_id} does not host {topic.name}-{number}", leader=hint)


def _check_epoch(log: PartitionLog, image: PartitionImage) -> None:
    """Raise StorageFailedError if the log has seen a later leader epoch than the cluster knows of."""
    if log.leader_epochs.latest > image.leader_epoch:
        raise StorageFailedError(
            f"{log.topic}-{log.partition} was written under leader epoch {log.leader_epochs.latest}, and the "
            f"cluster is at {image.leader_epoch}: its metadata went back, or the directory is another's"
        )
