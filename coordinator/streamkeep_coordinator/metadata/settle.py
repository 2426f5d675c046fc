"""Elections after a change, for all partitions that it may concern, and the records that say how they went.

A broker that dies can have 200,000 replicas. Two things keep that short: partitions that stand alike are
decided once, since what is elected hangs on nothing else; and from feature level 2 on the changes of a topic
are one record with columns instead of a record a partition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

from streamkeep_common.image import (
    COMPACT_FEATURE_LEVEL,
    ClusterImage,
    PartitionImage,
    Standing,
    TopicImage,
)
from streamkeep_coordinator.metadata.elections import elect
from streamkeep_coordinator.metadata.topic_settings import min_insync_replicas
from streamkeep_proto.v1.metadata_pb2 import (
    MetadataRecord,
    PartitionChangeRecord,
    PartitionChangesRecord,
    PartitionStanding,
)

Change = tuple[PartitionImage, Standing]
"""A partition as it is, and how it is to stand."""


def settle_replicas_of(image: ClusterImage, broker_id: int, *, leaving: int = 0) -> list[MetadataRecord]:
    """Changes to the partitions that have a replica on a broker of which something changed."""
    settling = _Settling(image, leaving)
    return [
        record
        for topic in image.topics_of(broker_id)
        for record in settling.of(topic, [each for each in topic.partitions if broker_id in each.replicas])
    ]


def settle_topic(image: ClusterImage, topic: TopicImage) -> list[MetadataRecord]:
    """Changes to a topic's partitions."""
    return list(_Settling(image, leaving=0).of(topic, topic.partitions))


class _Settling:
    """Elections against one image."""

    def __init__(self, image: ClusterImage, leaving: int) -> None:
        self._image = image
        self._leaving = leaving
        self._elected: dict[tuple[object, ...], Standing | None] = {}

    def of(self, topic: TopicImage, partitions: Iterable[PartitionImage]) -> Iterator[MetadataRecord]:
        minimum = min_insync_replicas(topic)
        changes = [
            (partition, standing)
            for partition in partitions
            if (standing := self._change(partition, minimum)) is not None
        ]
        if not changes:
            return
        if self._image.feature_level >= COMPACT_FEATURE_LEVEL:
            yield MetadataRecord(partition_changes=_columns(topic.topic_id, changes))
        else:
            for change in changes:
                yield MetadataRecord(partition_change=_single(*change))

    def _change(self, partition: PartitionImage, minimum: int) -> Standing | None:
        """How the partition ought to stand; None if it does."""
        alike = (minimum, partition.replicas, partition.directory_ids, *partition.standing)
        try:
            return self._elected[alike]
        except KeyError:
            standing = elect(self._image, partition, min_insync_replicas=minimum, leaving=self._leaving)
            change = self._elected[alike] = None if standing == partition.standing else standing
            return change


def _columns(topic_id: bytes, changes: list[Change]) -> PartitionChangesRecord:
    numbers = count()
    indexes: dict[Standing, int] = {}
    for _, standing in changes:
        if standing not in indexes:
            indexes[standing] = next(numbers)
    return PartitionChangesRecord(
        topic_id=topic_id,
        partitions=[partition.partition for partition, _ in changes],
        standing_indexes=[indexes[standing] for _, standing in changes],
        leader_epochs=[_leader_epoch(*change) for change in changes],
        partition_epochs=[partition.partition_epoch + 1 for partition, _ in changes],
        standings=[PartitionStanding(**standing._asdict()) for standing in indexes],
    )


def _single(partition: PartitionImage, standing: Standing) -> PartitionChangeRecord:
    return PartitionChangeRecord(
        topic_id=partition.topic_id,
        partition=partition.partition,
        isr=standing.isr,
        elr=standing.elr,
        leader=standing.leader,
        leader_epoch=_leader_epoch(partition, standing),
        partition_epoch=partition.partition_epoch + 1,
    )


def _leader_epoch(partition: PartitionImage, standing: Standing) -> int:
    """A new one if the leader changes, also to none."""
    return partition.leader_epoch + (standing.leader != partition.leader)
