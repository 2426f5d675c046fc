"""A broker emptied: each of its replicas goes to another broker."""

from __future__ import annotations

from collections.abc import Iterator

from streamkeep_common.errors import InvalidReplicaAssignmentError, UnknownBrokerError
from streamkeep_common.image import PartitionImage, TopicImage
from streamkeep_coordinator.metadata.decision import Draft
from streamkeep_coordinator.metadata.placement import Placed, Placement
from streamkeep_coordinator.metadata.reassign import check_idle
from streamkeep_proto.v1.coordinator_pb2 import EmptyBrokerPlan


class Emptying:
    """See `plans.Plan`. UnknownBrokerError.

    Each topic is placed on what the moves of the topics before it lead to, so that all of them together are
    spread. The draft is looked at once a topic: each look applies the records since the one before.
    """

    def __init__(self, draft: Draft, plan: EmptyBrokerPlan) -> None:
        if plan.broker_id not in draft.image.brokers:
            raise UnknownBrokerError(f"there is no broker {plan.broker_id}")
        self._broker_id = plan.broker_id
        self._draft = draft
        self._brokers = draft.image.brokers
        self._placement = Placement(draft.image)

    def partitions(self) -> Iterator[tuple[str, int]]:
        for topic in self._draft.image.topics_of(self._broker_id):
            self._placement = Placement(self._draft.image, topic.partitions)
            for partition in topic.partitions:
                if self._broker_id in partition.target_replicas:
                    yield topic.name, partition.partition

    def target(self, topic: TopicImage, partition: PartitionImage) -> Placed:
        """Another broker's replica stands where this one's stood; but if that is in front, whoever of all of
        them leads least comes first.

        InvalidReplicaAssignmentError if there is no other broker.
        """
        check_idle(topic, partition)
        kept = [each for each in partition.replicas if each != self._broker_id]
        brokers = [self._brokers[each] for each in kept]
        found = self._placement.extend(brokers, 1, without=self._broker_id)
        if found is None:
            raise InvalidReplicaAssignmentError(
                f"no broker without a replica of {topic.name}-{partition.partition} is live and has room: "
                f"add one, or lower the replication factor"
            )
        at = partition.replicas.index(self._broker_id)
        replicas = [*kept[:at], *found.replicas, *kept[at:]]
        if at == 0:
            leader = self._placement.lead(replicas)
            replicas = [leader, *(each for each in replicas if each != leader)]
        (new_directory,) = found.directory_ids
        return Placed(
            tuple(replicas), tuple(partition.directory_of(each) or new_directory for each in replicas)
        )
