"""All replicas that this broker hosts, kept as the image says: who leads, who follows whom.

Nothing is ever deleted because an image lacks it (NATS #7556 lost live streams that way): a log goes only
when a committed record removes its topic or moves its replica away; or at the start, when the image that the
cluster's own coordinator named at registration does not know the topic, or says who has the partition now.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Protocol

from streamkeep_broker.log.directory import LogDirectory
from streamkeep_broker.log.manager import LogManager, StillLeavingError
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.readable_log import Key
from streamkeep_broker.replication.hints import leader_hint, why_absent
from streamkeep_broker.replication.hosting import Hosting
from streamkeep_broker.replication.image_news import concerned, moved_away, removed, topic_of
from streamkeep_broker.replication.near_replicas import near_replica
from streamkeep_broker.replication.partition import Partition
from streamkeep_broker.replication.renewals import Renewals
from streamkeep_broker.replication.reports import ReplicaReports
from streamkeep_common.errors import (
    InvalidSettingError,
    NotLeaderError,
    StorageFailedError,
    StreamkeepError,
    UnknownSettingError,
    UnknownTopicError,
)
from streamkeep_common.image import ClusterImage, ImageDelta, PartitionImage, TopicImage, difference
from streamkeep_common.seams import Clock
from streamkeep_common.settings import TopicSettings
from streamkeep_proto.v1.errors_pb2 import LeaderHint

_logger = logging.getLogger(__name__)


class Following(Protocol):
    """Whoever keeps replicas equal to their leaders'."""

    def follow(self, partition: Partition, leader_id: int, address: str) -> None:
        """From now on follow this leader, under the partition's leader epoch. Nothing happens if it does."""
        ...

    def leave(self, partition: Partition, newer: LeaderHint | None) -> None:
        """Follow nobody. `newer` is who leads now, for the leader that was followed so far."""
        ...


class Partitions:
    """The hosted partitions by topic id and number."""

    def __init__(
        self,
        *,
        logs: LogManager,
        clock: Clock,
        broker_id: int,
        replica_lag_ms: int,
        following: Following,
        reports: ReplicaReports,
        on_isr_due: Callable[[Partition], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._logs = logs
        self._clock = clock
        self._broker_id = broker_id
        self._replica_lag_ms = replica_lag_ms
        self._following = following
        self._reports = reports
        self._on_isr_due = on_isr_due
        self._hosting = Hosting(logs, broker_id=broker_id)
        self._renewals = Renewals(
            logs,
            clock=clock,
            broker_id=broker_id,
            on_renewed=self._renewed,
            on_end=self._host_again,
            on_failure=on_failure,
        )
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
        key = (topic_id, partition)
        found = self._partitions.get(key)
        if found is None and key in self._failed:
            self._host_again(key)
            found = self._partitions.get(key)
        if found is None:
            failed = self._failed.get(key)
            raise failed or why_absent(self._image, topic_id, partition, broker_id=self._broker_id)
        return found

    def near_replica(self, partition: Partition, rack: str) -> LeaderHint | None:
        """Where a reader in `rack` should read instead of from this leader; None = here."""
        image = self._image.partition(*partition.log.key)
        return None if image is None else near_replica(self._image, image, rack)

    def images(self) -> Iterator[tuple[Partition, PartitionImage]]:
        """Each hosted partition, and how the image says that it stands."""
        for key, partition in self._partitions.items():
            image = self._image.partition(*key)
            if image is not None:
                yield partition, image

    @property
    def failed(self) -> int:
        """Replicas that are to be here and cannot be hosted."""
        return len(self._failed)

    @property
    def leaders_to_move(self) -> int:
        """Partitions that this broker leads and that another one in sync could lead."""
        return sum(partition.leads and self._could_move(image) for partition, image in self.images())

    def _could_move(self, image: PartitionImage) -> bool:
        return any(each != self._broker_id and self._image.is_live(each) for each in image.isr)

    # --- what the image says ---

    def begin(self, image: ClusterImage) -> None:
        """Take over the first image that is as recent as the registration, and remove what it does not have.

        What the metadata said earlier must not be acted on: this incarnation never had those epochs.
        """
        self._take(difference(ClusterImage(), image))
        self._remove_strays()

    def follow(self, delta: ImageDelta) -> None:
        """Act on committed entries: what they take from this broker is deleted."""
        self._take(delta)
        for image, error in self._taken_away(delta):
            if self._retire(image, error) and self._logs.get(*_key(image)) is not None:
                _logger.info("deleting %s-%d: %s", topic_of(delta, image), image.partition, error.message)
                self._logs.delete(*_key(image))

    def follow_snapshot(self, delta: ImageDelta) -> None:
        """Act on an image that did not come as entries: what it lacks is served no more but stays on disk."""
        self._take(delta)
        for image, error in self._taken_away(delta):
            if self._retire(image, error):
                _logger.warning(
                    "by a metadata snapshot %s-%d, topic id %s, is not here: its data is kept, and served no "
                    "more",
                    topic_of(delta, image),
                    image.partition,
                    image.topic_id.hex(),
                )

    def _take(self, delta: ImageDelta) -> None:
        self._image = delta.after
        for topic_id in delta.changed_settings:
            self._change_settings(delta.after.topics[topic_id])
        for image in concerned(delta, self._partitions, broker_id=self._broker_id):
            self._host(image)

    def _host(self, image: PartitionImage) -> None:
        """Have the replica, in the role that the image gives it."""
        if self._renewals.is_busy(_key(image)):
            return  # its turn comes when that has ended
        partition = self._partitions.get(_key(image))
        if partition is not None and not self._hosting.is_at_home(partition.log, image):
            self._retire(image, self._not_here(image))
            partition = None
        partition = partition or self._open(image)
        if partition is not None:
            self._assign(partition, image)

    def _open(self, image: PartitionImage) -> Partition | None:
        key, topic = _key(image), self._image.topics[image.topic_id]
        try:
            hosted = self._hosting.open(topic, image)
        except StreamkeepError as error:
            if str(error) != str(self._failed.get(key)):
                level = logging.INFO if isinstance(error, StillLeavingError) else logging.ERROR
                _logger.log(level, "%s-%d cannot be hosted: %s", topic.name, image.partition, error)
            self._failed[key] = error
            return None
        self._failed.pop(key, None)
        partition = self._partitions[key] = self._make(hosted.log)
        if hosted.is_lost:
            self._reports.lost(partition)
        elif hosted.log.defects:
            self._reports.damaged(partition)
        return partition

    def _make(self, log: PartitionLog) -> Partition:
        partition = Partition(
            log,
            logs=self._logs,
            clock=self._clock,
            broker_id=self._broker_id,
            replica_lag_ms=self._replica_lag_ms,
        )
        partition.on_isr_due = self._on_isr_due
        partition.on_damaged = self._reports.damaged
        return partition

    def _assign(self, partition: Partition, image: PartitionImage) -> None:
        """Lead, follow or wait, as the image says; or begin the log again from nothing, if it is time."""
        hint = leader_hint(self._image, image)
        partition.apply(image, hint, brokers=self._image.brokers)
        self._reports.image_changed(partition, image)
        if self._renewals.is_due(image):
            self._following.leave(partition, None)
            partition.end_readers(self._not_here(image))
            self._renewals.begin(partition.log)
        elif image.leader == self._broker_id or hint is None or self._reports.is_to_be_dropped(partition):
            self._following.leave(partition, hint)
        else:
            self._following.follow(partition, image.leader, hint.address)

    def _change_settings(self, topic: TopicImage) -> None:
        try:
            settings = TopicSettings.of(topic.settings)
        except (UnknownSettingError, InvalidSettingError) as error:
            _logger.error("topic %s keeps its settings as they were: %s", topic.name, error)
            return
        for image in topic.partitions:
            partition = self._partitions.get(_key(image))
            if partition is not None:
                partition.change_settings(settings)

    # --- what is not here any more ---

    def _taken_away(self, delta: ImageDelta) -> Iterator[tuple[PartitionImage, StreamkeepError]]:
        """What this broker is to have no more, and what is said to those who ask for it."""
        for topic, image in removed(delta):
            yield image, UnknownTopicError(f"topic {topic.name} was deleted")
        for image in moved_away(delta, self._broker_id):
            yield image, self._not_here(image)

    def _retire(self, image: PartitionImage, error: StreamkeepError) -> bool:
        """Host the partition no more; all that wait for it get `error`. False if it was not to be here."""
        key = _key(image)
        failed = self._failed.pop(key, None)
        partition = self._partitions.pop(key, None)
        if partition is None:
            return failed is not None
        self._following.leave(partition, leader_hint(self._image, image))
        self._reports.forget(partition)
        self._renewals.forget(key)
        partition.resign(error)
        partition.end_readers(error)
        return True

    def _remove_strays(self) -> None:
        for log in list(self._logs):
            image = self._image.partition(*log.key)
            if image is None:
                self._remove_stray(log, "the cluster has no such partition")
            elif self._broker_id not in image.replicas and image.leader:
                self._remove_stray(log, f"its replicas are on brokers {list(image.replicas)}")

    def _remove_stray(self, log: PartitionLog, why: str) -> None:
        _logger.warning(
            "removing %s, topic id %s: %s at metadata index %d",
            log.name,
            log.topic_id.hex(),
            why,
            self._image.index,
        )
        self._logs.delete(*log.key)

    # --- damaged replicas ---

    def may_copy_anew(self, partition: Partition) -> None:
        """The coordinator says that others have the data of this damaged replica."""
        key = partition.log.key
        self._renewals.allow(key)
        self._host_again(key)

    def _renewed(self, key: Key) -> None:
        partition = self._partitions.get(key)
        if partition is not None:
            self._reports.repaired(partition)

    # --- what disks and the process say ---

    def storage_failed(self, directory: LogDirectory) -> None:
        """A directory went offline: nothing that waits for it will ever be flushed."""
        for partition in self:
            if self._logs.directory_of(partition.log) is directory:
                partition.storage_failed(StorageFailedError(f"{partition.name}: {directory.reason}"))

    def storage_recovered(self) -> None:
        """A directory works again: what could not be hosted is tried once more."""
        for key in list(self._failed):
            self._host_again(key)

    def _host_again(self, key: Key) -> None:
        image = self._image.partition(*key)
        if image is not None and self._broker_id in image.replicas:
            self._host(image)

    def resign_all(self, error: StreamkeepError) -> None:
        """The process stops: lead nothing, answer everybody."""
        for partition in self:
            partition.resign(error)

    async def stop(self) -> None:
        """Touch no log any more."""
        await self._renewals.stop()

    def _not_here(self, image: PartitionImage) -> NotLeaderError:
        topic = self._image.topics[image.topic_id]
        hint = leader_hint(self._image, image)
        said = f"broker {self._broker_id} does not host {topic.name}-{image.partition}"
        return NotLeaderError(said, leader=hint)


def _key(image: PartitionImage) -> Key:
    return image.topic_id, image.partition
