"""Elections after a change, for all partitions that it may concern, and the records that say how they went.

A broker that dies can have 200,000 replicas. Two things keep that short: partitions that stand alike are
decided once, since what is elected hangs on nothing else; and from feature level 2 on the changes of a topic
are one record with columns instead of a record a partition.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cached_property

from streamkeep_common.image import ClusterImage, PartitionImage, Standing, TopicImage
from streamkeep_coordinator.metadata.elections import NOBODY, elect
from streamkeep_coordinator.metadata.limits import MAX_PLACEMENTS_PER_ENTRY
from streamkeep_coordinator.metadata.placement import Placement
from streamkeep_coordinator.metadata.relocation import begin_again, with_directories
from streamkeep_coordinator.metadata.standings import Change, PartitionChanges
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
    for topic in image.topics_of(broker_id):
        settling.settle(topic, [each for each in topic.partitions if broker_id in each.replicas])
    return settling.changes.records(image)


def settle_topic(image: ClusterImage, topic: TopicImage) -> list[MetadataRecord]:
    """Changes to a topic's partitions."""
    settling = _Settling(image, NOBODY, rebooted=0)
    settling.settle(topic, topic.partitions)
    return settling.changes.records(image)


class _Settling:
    """Elections against one image."""

    def __init__(self, image: ClusterImage, leaving: Collection[int], *, rebooted: int) -> None:
        self.changes = PartitionChanges()
        self._image = image
        self._leaving = leaving
        self._rebooted = rebooted
        self._elected: dict[tuple[object, ...], Standing | None] = {}

    def settle(self, topic: TopicImage, partitions: Iterable[PartitionImage]) -> None:
        rules = (
            min_insync_replicas(topic),
            is_unclean_allowed(topic),
            0 if is_flushed(topic) else self._rebooted,
        )
        for partition in partitions:
            standing = self._change(partition, rules)
            if standing is None:
                continue
            if standing.leader and standing.leader not in partition.isr + partition.elr:
                self._begin_again(partition, standing)
            else:
                self.changes.stand(Change(partition, standing))

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

    def _begin_again(self, partition: PartitionImage, standing: Standing) -> None:
        """Led by who may lack records. Where more have lost their directories than one entry takes, the rest
        get others in the next sessions of their brokers.
        """
        placed = partition
        if self.changes.placements < MAX_PLACEMENTS_PER_ENTRY:
            placed = with_directories(self._image, partition, self._placement)
        begin_again(partition, placed, standing, self.changes)

    @cached_property
    def _placement(self) -> Placement:
        return Placement(self._image)
