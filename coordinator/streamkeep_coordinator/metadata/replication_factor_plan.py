"""More or fewer replicas of each partition of a topic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from streamkeep_common.errors import InvalidReplicationFactorError
from streamkeep_common.image import ClusterImage, PartitionImage, TopicImage
from streamkeep_coordinator.metadata.find import find_topic
from streamkeep_coordinator.metadata.placement import (
    Placed,
    Placement,
    candidates,
    max_replication_factor,
    too_few,
)
from streamkeep_coordinator.metadata.reassign import check_idle
from streamkeep_proto.v1.coordinator_pb2 import ReplicationFactorPlan


class Resizing:
    """See `plans.Plan`. UnknownTopicError, InvalidReplicationFactorError."""

    def __init__(self, image: ClusterImage, plan: ReplicationFactorPlan) -> None:
        topic = find_topic(image, plan.topic)
        most = max_replication_factor(image)
        if not 1 <= plan.replication_factor <= most:
            raise InvalidReplicationFactorError(
                f"a partition has 1 to {most} replicas, not {plan.replication_factor}"
            )
        self._image = image
        self._topic = topic
        self._wanted = plan.replication_factor
        self._placement = Placement(image, topic.partitions)
        self._loads = Counter(each for partition in topic.partitions for each in partition.target_replicas)

    def partitions(self) -> Iterator[tuple[str, int]]:
        for partition in self._topic.partitions:
            if len(partition.target_replicas) != self._wanted:
                yield self._topic.name, partition.partition

    def target(self, topic: TopicImage, partition: PartitionImage) -> Placed:
        """New replicas come behind those that there are; those that stay keep their order.

        InvalidReplicationFactorError if there are too few brokers.
        """
        check_idle(topic, partition)
        kept = list(partition.replicas)
        while len(kept) > self._wanted:
            kept.remove(self._dispensable(partition, kept))
        brokers = [self._image.brokers[each] for each in kept]
        found = self._placement.extend(brokers, self._wanted - len(kept))
        if found is None:
            raise InvalidReplicationFactorError(too_few(self._wanted, len(candidates(self._image))))
        directories = [partition.directory_ids[partition.replicas.index(each)] for each in kept]
        return Placed((*kept, *found.replicas), (*directories, *found.directory_ids))

    def _dispensable(self, partition: PartitionImage, kept: list[int]) -> int:
        """Who goes first: not in sync before in sync, the leader last, of a rack with two before one with
        one, of a broker with many of the topic's replicas before one with few, the later one.
        """
        racks = Counter(self._image.brokers[each].rack for each in kept)

        def rank(broker_id: int) -> tuple[bool, bool, bool, int, int]:
            rack = self._image.brokers[broker_id].rack
            return (
                broker_id not in partition.isr,
                broker_id != partition.leader,
                bool(rack) and racks[rack] > 1,
                self._loads[broker_id],
                kept.index(broker_id),
            )

        gone = max(kept, key=rank)
        self._loads[gone] -= 1
        return gone
