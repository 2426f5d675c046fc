"""Elections that somebody asks for: preferred leaders, or by force one that may lack acknowledged records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from streamkeep_common.errors import (
    ElectionNotNeededError,
    EligibleLeadersNotAvailableError,
    InvalidRequestError,
    StreamkeepError,
    to_proto,
)
from streamkeep_common.image import ClusterImage, PartitionImage, Standing, TopicImage
from streamkeep_coordinator.metadata.decision import Decision, Draft
from streamkeep_coordinator.metadata.elections import NOBODY, elect
from streamkeep_coordinator.metadata.find import Found, find_named_partition
from streamkeep_coordinator.metadata.members import is_good
from streamkeep_coordinator.metadata.placement import Placement
from streamkeep_coordinator.metadata.relocation import begin_again, with_directories
from streamkeep_coordinator.metadata.standings import Change, PartitionChanges
from streamkeep_coordinator.metadata.topic_settings import min_insync_replicas
from streamkeep_proto.v1.coordinator_pb2 import (
    UNCLEAN,
    ElectionKind,
    ElectionOutcome,
    ElectLeadersRequest,
    ElectLeadersResponse,
    TopicPartitionName,
)


def elect_leaders(image: ClusterImage, request: ElectLeadersRequest) -> Decision[ElectLeadersResponse]:
    """One outcome for each partition named; with none named, preferred leaders wherever there can be one.

    InvalidRequestError for an unclean election that names no partition.
    """
    if request.kind == UNCLEAN and not request.partitions:
        raise InvalidRequestError("an unclean election may lose records: name the partitions")
    electing = _Electing(image, request.kind)
    if request.partitions:
        outcomes = [electing.outcome(item) for item in request.partitions]
    else:
        found = (
            Found(topic, partition)
            for topic in image.topics.values()
            for partition in unbalanced(image, topic)
        )
        outcomes = [electing.elect(each) for each in found]
    draft = Draft(image)
    draft.write(*electing.changes.records(image))
    return draft.decide(ElectLeadersResponse(outcomes=outcomes), validate_only=request.validate_only)


def unbalanced(
    image: ClusterImage, topic: TopicImage, *, leaving: Collection[int] = NOBODY
) -> Iterator[PartitionImage]:
    """Partitions of the topic that their preferred replica does not lead and could."""
    for partition in topic.partitions:
        if partition.leader != partition.replicas[0] and _can_be_preferred(image, partition, leaving):
            yield partition


def balance_leaders(
    image: ClusterImage, partitions: Iterable[tuple[bytes, int]], *, leaving: Collection[int] = NOBODY
) -> Decision[int]:
    """Preferred leaders for those partitions, by topic id and number; how many of them still needed it."""
    changes = PartitionChanges()
    count = 0
    for topic_id, number in partitions:
        partition = image.partition(topic_id, number)
        if partition is None or partition.leader == partition.replicas[0]:
            continue
        if _can_be_preferred(image, partition, leaving):
            changes.stand(Change(partition, _preferred(partition)))
            count += 1
    draft = Draft(image)
    draft.write(*changes.records(image))
    return draft.decide(count)


class _Electing:
    """The elections of one request."""

    def __init__(self, image: ClusterImage, kind: ElectionKind.ValueType) -> None:
        self.changes = PartitionChanges()
        self._image = image
        self._placement = Placement(image)
        self._elect = self._unclean if kind == UNCLEAN else self._preferred

    def outcome(self, item: TopicPartitionName) -> ElectionOutcome:
        try:
            return self.elect(find_named_partition(self._image, item.topic, item.partition))
        except StreamkeepError as error:
            return ElectionOutcome(topic=item.topic, partition=item.partition, error=to_proto(error))

    def elect(self, found: Found) -> ElectionOutcome:
        partition = found.partition
        if partition in self.changes:
            raise InvalidRequestError(f"{found.name} is named twice")
        return ElectionOutcome(
            topic=found.topic.name,
            partition=partition.partition,
            from_leader=partition.leader,
            to_leader=self._elect(found),
        )

    def _preferred(self, found: Found) -> int:
        partition = found.partition
        preferred = partition.replicas[0]
        if partition.leader == preferred:
            raise ElectionNotNeededError(f"broker {preferred} leads {found.name} already")
        if not _can_be_preferred(self._image, partition, NOBODY):
            raise EligibleLeadersNotAvailableError(
                f"broker {preferred}, the preferred leader of {found.name}, is not in sync now"
            )
        self.changes.stand(Change(partition, _preferred(partition)))
        return preferred

    def _unclean(self, found: Found) -> int:
        """A replica that lives; if none has its directory any more, one that begins empty."""
        partition = found.partition
        if partition.leader:
            raise ElectionNotNeededError(f"broker {partition.leader} leads {found.name}")
        standing = self._by_force(found, partition)
        placed = with_directories(self._image, partition, self._placement)
        if not standing.leader:
            standing = self._by_force(found, placed)
        if not standing.leader:
            raise EligibleLeadersNotAvailableError(
                f"no live broker has a place for a replica of {found.name}"
            )
        begin_again(partition, placed, standing, self.changes)
        return standing.leader

    def _by_force(self, found: Found, partition: PartitionImage) -> Standing:
        return elect(
            self._image, partition, min_insync_replicas=min_insync_replicas(found.topic), unclean=True
        )


def _can_be_preferred(image: ClusterImage, partition: PartitionImage, leaving: Collection[int]) -> bool:
    preferred = partition.replicas[0]
    return preferred in partition.isr and preferred not in leaving and is_good(image, partition, preferred)


def _preferred(partition: PartitionImage) -> Standing:
    return partition.standing._replace(leader=partition.replicas[0])
