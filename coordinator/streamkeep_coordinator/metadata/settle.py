"""Elections after a change, for all partitions that it may concern, and the records that say how they went.

A broker that dies can have 200,000 replicas. Two things keep that short: partitions that stand alike are
decided once, since what is elected hangs on nothing else; and from feature level 2 on the changes of a topic
are one record with columns instead of a record a partition.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from streamkeep_common.image import ClusterImage, PartitionImage, Standing, TopicImage
from streamkeep_coordinator.metadata.elections import NOBODY, elect
from streamkeep_coordinator.metadata.standings import Change, standing_records
from streamkeep_coordinator.metadata.topic_settings import (
    is_flushed,
    is_unclean_allowed,
    min_insync_replicas,
)
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord


def settle_replicas_of(
    image: ClusterImage, broker_id: int, *, leaving: Collection[int] = NOBODY, rebooted: bool = False
) -> list[MetadataRecord]:
    """Changes to the partitions that have a replica on a broker of which something changed.

    `rebooted`: its machine may have lost what was not flushed.
    """
    settling = _Settling(image, leaving, rebooted=broker_id if rebooted else 0)
    return [
        record
        for topic in image.topics_of(broker_id)
        for record in settling.of(topic, [each for each in topic.partitions if broker_id in each.replicas])
    ]


def settle_topic(image: ClusterImage, topic: TopicImage) -> list[MetadataRecord]:
    """Changes to a topic's partitions."""
    return list(_Settling(image, NOBODY, rebooted=0).of(topic, topic.partitions))


class _Settling:
    """Elections against one image."""

    def __init__(self, image: ClusterImage, leaving: Collection[int], *, rebooted: int) -> None:
        self._image = image
        self._leaving = leaving
        self._rebooted = rebooted
        self._elected: dict[tuple[object, ...], Standing | None] = {}

    def of(self, topic: TopicImage, partitions: Iterable[PartitionImage]) -> Iterator[MetadataRecord]:
        rules = (
            min_insync_replicas(topic),
            is_unclean_allowed(topic),
            0 if is_flushed(topic) else self._rebooted,
        )
        changes = [
            Change(partition, standing)
            for partition in partitions
            if (standing := self._change(partition, rules)) is not None
        ]
        return standing_records(self._image, topic.topic_id, changes)

    def _change(self, partition: PartitionImage, rules: tuple[int, bool, int]) -> Standing | None:
        """How the partition ought to stand; None if it does."""
        before = partition.standing
        alike = (rules, partition.replicas, partition.directory_ids, partition.adding_replicas, before)
        try:
            return self._elected[alike]
        except KeyError:
            minimum, unclean, rebooted = rules
            standing = elect(
                self._image,
                partition,
                min_insync_replicas=minimum,
                unclean=unclean,
                leaving=self._leaving,
                rebooted=rebooted,
            )
            change = self._elected[alike] = None if standing == before else standing
            return change
