"""Replicas as a user names them: what is allowed, and where they go if no directory is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from streamkeep_common.errors import InvalidReplicaAssignmentError, InvalidRequestError
from streamkeep_common.image import BrokerImage, ClusterImage, PartitionImage, TopicImage
from streamkeep_common.limits import ID_BYTES, MAX_MOVES_PER_REQUEST
from streamkeep_coordinator.metadata.placement import Placed, Placement, max_replication_factor
from streamkeep_coordinator.metadata.reassign import copied_anew
from streamkeep_proto.v1.coordinator_pb2 import ExplicitPlan, PartitionTarget


class ExplicitTargets:
    """See `plans.Plan`. InvalidRequestError if a partition is named twice, or too many are."""

    def __init__(self, image: ClusterImage, plan: ExplicitPlan) -> None:
        if len(plan.partitions) > MAX_MOVES_PER_REQUEST:
            raise InvalidRequestError(
                f"a plan names {MAX_MOVES_PER_REQUEST} partitions at most: send several"
            )
        named = Counter((target.topic, target.partition) for target in plan.partitions)
        for (topic, number), count in named.items():
            if count > 1:
                raise InvalidRequestError(f"the plan names {topic}-{number} {count} times")
        self._image = image
        self._targets = {(target.topic, target.partition): target for target in plan.partitions}
        self._placement = Placement(image)

    def partitions(self) -> Iterator[tuple[str, int]]:
        return iter(self._targets)

    def target(self, topic: TopicImage, partition: PartitionImage) -> Placed | None:
        """InvalidReplicaAssignmentError if there is no replica or are too many, if a broker is named twice,
        is not known, or is to get a replica and cannot, or if a directory is not the broker's or has no room.
        """
        wanted = self._targets[topic.name, partition.partition]
        _check_form(self._image, wanted)
        directories = list(wanted.directory_ids) or [b""] * len(wanted.replicas)
        placed = Placed(
            tuple(wanted.replicas),
            tuple(
                self._directory(self._broker(broker_id), partition, directory_id)
                for broker_id, directory_id in zip(wanted.replicas, directories, strict=True)
            ),
        )
        is_there = placed.replicas == partition.target_replicas and not copied_anew(partition, placed)
        return None if is_there else placed

    def _broker(self, broker_id: int) -> BrokerImage:
        broker = self._image.brokers.get(broker_id)
        if broker is None:
            raise InvalidReplicaAssignmentError(f"there is no broker {broker_id}")
        return broker

    def _directory(self, broker: BrokerImage, partition: PartitionImage, named: bytes) -> bytes:
        """As named; else where the replica is, or for a new one where the broker has the fewest."""
        present = partition.directory_of(broker.broker_id)
        if present is not None and named in (b"", present):
            return present
        if present is None:
            _check_may_get_replicas(broker)
        if not named:
            return self._placement.directory(broker)
        _check_directory(broker, named)
        return named


def _check_form(image: ClusterImage, target: PartitionTarget) -> None:
    count = len(target.replicas)
    most = max_replication_factor(image)
    if not 1 <= count <= most:
        raise InvalidReplicaAssignmentError(f"a partition has 1 to {most} replicas, not {count}")
    if len(set(target.replicas)) != count:
        raise InvalidReplicaAssignmentError(f"a broker is named twice in {list(target.replicas)}")
    if len(target.directory_ids) not in (0, count):
        raise InvalidReplicaAssignmentError(
            f"{len(target.directory_ids)} directories are named for {count} replicas"
        )


def _check_may_get_replicas(broker: BrokerImage) -> None:
    if broker.fenced:
        raise InvalidReplicaAssignmentError(
            f"broker {broker.broker_id} is fenced and cannot get a new replica"
        )
    if broker.draining:
        raise InvalidReplicaAssignmentError(f"broker {broker.broker_id} is drained and gets no new replica")
    if not broker.directory_ids:
        raise InvalidReplicaAssignmentError(f"broker {broker.broker_id} has no usable log directory")


def _check_directory(broker: BrokerImage, directory_id: bytes) -> None:
    if len(directory_id) != ID_BYTES or directory_id not in broker.directory_ids:
        raise InvalidReplicaAssignmentError(
            f"broker {broker.broker_id} has no log directory {directory_id[:ID_BYTES].hex()}"
        )
    if broker.is_full(directory_id) or broker.is_stalled(directory_id):
        raise InvalidReplicaAssignmentError(
            f"log directory {directory_id.hex()} of broker {broker.broker_id} is full or stalled"
        )
