"""Plans of which replicas go where, as `ReassignPartitions` takes them: named ones, a broker emptied, another
replication factor, and going back.

The answer has one outcome a partition that the plan concerns. What is as wanted already, or on its way there,
is left out, so that a plan made again after a lost answer says what is left to do. One request moves no more
than one entry of the log bears; who asks, asks again until nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Protocol

from streamkeep_common.errors import (
    InvalidRequestError,
    NoReassignmentInProgressError,
    StreamkeepError,
    to_proto,
)
from streamkeep_common.image import ClusterImage, PartitionImage, TopicImage
from streamkeep_common.limits import MAX_MOVES_PER_REQUEST
from streamkeep_coordinator.metadata.decision import Decision, Draft
from streamkeep_coordinator.metadata.empty_broker_plan import Emptying
from streamkeep_coordinator.metadata.explicit_plan import ExplicitTargets
from streamkeep_coordinator.metadata.find import find_named_partition
from streamkeep_coordinator.metadata.placement import Placed
from streamkeep_coordinator.metadata.reassign import (
    begin_reassignment,
    cancel_reassignment,
    check_idle,
    copied_anew,
    is_moving,
)
from streamkeep_coordinator.metadata.replication_factor_plan import Resizing
from streamkeep_coordinator.metadata.topic_settings import min_insync_replicas
from streamkeep_coordinator.metadata.upgrade import check_replication
from streamkeep_proto.v1.coordinator_pb2 import (
    CancelPlan,
    ReassignmentOutcome,
    ReassignPartitionsRequest,
    ReassignPartitionsResponse,
)


class Plan(Protocol):
    """Which partitions are to be where. Each is asked for its target before the next one is named."""

    def partitions(self) -> Iterator[tuple[str, int]]:
        """Topic and number of each partition that the plan concerns, each once."""

    def target(self, topic: TopicImage, partition: PartitionImage) -> Placed | None:
        """Where its replicas shall be; None: where they are or go to already. Raises why that cannot be."""


def reassign_partitions(
    image: ClusterImage, request: ReassignPartitionsRequest
) -> Decision[ReassignPartitionsResponse]:
    """One of the plans. An outcome with an error changes nothing, and leaves the others alone.

    Raises what concerns the plan as a whole: UnsupportedFeatureError below the level of replication,
    InvalidRequestError, UnknownBrokerError, UnknownTopicError, InvalidReplicationFactorError.
    """
    check_replication(image)
    draft = Draft(image)
    outcomes = islice(_outcomes(draft, image, request), MAX_MOVES_PER_REQUEST)
    answer = ReassignPartitionsResponse(outcomes=outcomes)
    return draft.decide(answer, validate_only=request.validate_only)


def _outcomes(
    draft: Draft, image: ClusterImage, request: ReassignPartitionsRequest
) -> Iterator[ReassignmentOutcome]:
    match request.WhichOneof("plan"):
        case "explicit":
            return _carry_out(draft, image, ExplicitTargets(image, request.explicit))
        case "empty_broker":
            return _carry_out(draft, image, Emptying(draft, request.empty_broker))
        case "replication_factor":
            return _carry_out(draft, image, Resizing(image, request.replication_factor))
        case "cancel":
            return _go_back(draft, image, request.cancel)
        case _:
            raise InvalidRequestError("the request has no plan, or one that this version does not know")


def _carry_out(draft: Draft, image: ClusterImage, plan: Plan) -> Iterator[ReassignmentOutcome]:
    def move(topic: TopicImage, partition: PartitionImage) -> ReassignmentOutcome | None:
        target = plan.target(topic, partition)
        if target is None:
            return None
        check_idle(topic, partition)
        minimum = min_insync_replicas(topic)
        draft.write(begin_reassignment(image, partition, target, min_insync_replicas=minimum))
        return _outcome(topic, partition, target.replicas, copied_anew(partition, target))

    return _each(image, plan.partitions(), move)


def _go_back(draft: Draft, image: ClusterImage, plan: CancelPlan) -> Iterator[ReassignmentOutcome]:
    def go_back(topic: TopicImage, partition: PartitionImage) -> ReassignmentOutcome:
        if not is_moving(partition):
            raise NoReassignmentInProgressError(f"{topic.name}-{partition.partition} is not being moved")
        record = cancel_reassignment(image, partition, min_insync_replicas=min_insync_replicas(topic))
        draft.write(record)
        return _outcome(topic, partition, record.partition_placement.partition.replicas, ())

    named = ((each.topic, each.partition) for each in plan.partitions)
    return _each(image, named if plan.partitions else _moving(image), go_back)


def _moving(image: ClusterImage) -> Iterator[tuple[str, int]]:
    for topic in image.topics.values():
        for partition in topic.partitions:
            if is_moving(partition):
                yield topic.name, partition.partition


def _each(
    image: ClusterImage,
    partitions: Iterable[tuple[str, int]],
    act: Callable[[TopicImage, PartitionImage], ReassignmentOutcome | None],
) -> Iterator[ReassignmentOutcome]:
    """What `act` says of each partition, or the error that it raises, having changed nothing."""
    for name, number in partitions:
        try:
            outcome = act(*find_named_partition(image, name, number))
        except StreamkeepError as error:
            outcome = ReassignmentOutcome(topic=name, partition=number, error=to_proto(error))
        if outcome is not None:
            yield outcome


def _outcome(
    topic: TopicImage, partition: PartitionImage, to_replicas: Iterable[int], copies: Iterable[int]
) -> ReassignmentOutcome:
    return ReassignmentOutcome(
        topic=topic.name,
        topic_id=topic.topic_id,
        partition=partition.partition,
        from_replicas=partition.replicas,
        to_replicas=to_replicas,
        copies=copies,
    )
