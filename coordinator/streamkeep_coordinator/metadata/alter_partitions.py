"""What a leader proposes for the in-sync sets of its partitions: compare-and-set on the partition epoch.

A proposal names every member with the broker epoch at which the leader saw it in sync, so that a broker that
was restarted meanwhile cannot slip back in with what it had before. Whoever is in sync now and not named
leaves, and stays eligible if that leaves fewer than min ISR (KIP-966). A proposal of the set as it is changes
nothing but the partition epoch: it tells the leader, whose earlier answer was lost, what holds.
"""

from __future__ import annotations

from collections.abc import Collection

from streamkeep_common.errors import (
    FencedLeaderEpochError,
    IneligibleReplicaError,
    InvalidRequestError,
    NotLeaderError,
    StalePartitionEpochError,
    StreamkeepError,
    UnknownLeaderEpochError,
    to_proto,
)
from streamkeep_common.image import ClusterImage, PartitionImage, Standing, TopicImage
from streamkeep_coordinator.metadata.decision import Decision, Draft
from streamkeep_coordinator.metadata.elections import NOBODY, elect
from streamkeep_coordinator.metadata.find import current_broker, find_partition
from streamkeep_coordinator.metadata.members import is_good
from streamkeep_coordinator.metadata.reassign import complete_reassignment
from streamkeep_coordinator.metadata.standings import Change, PartitionChanges
from streamkeep_coordinator.metadata.topic_settings import is_unclean_allowed, min_insync_replicas
from streamkeep_proto.v1.coordinator_pb2 import (
    AlteredPartition,
    AlterPartition,
    AlterPartitionsRequest,
    AlterPartitionsResponse,
    InSyncMember,
)


def alter_partitions(
    image: ClusterImage, request: AlterPartitionsRequest, *, leaving: Collection[int] = NOBODY
) -> Decision[AlterPartitionsResponse]:
    """One outcome a partition, all accepted ones in one entry. `leaving` are the brokers that want to stop.

    UnknownBrokerError, StaleBrokerEpochError if it is not the broker's current incarnation that asks.
    """
    current_broker(image, request.broker_id, request.broker_epoch)
    altering = _Altering(image, request.broker_id, leaving)
    outcomes = [altering.outcome(item) for item in request.partitions]
    draft = Draft(image)
    draft.write(*altering.changes.records(image))
    return draft.decide(AlterPartitionsResponse(outcomes=outcomes))


class _Altering:
    """The proposals of one broker."""

    def __init__(self, image: ClusterImage, broker_id: int, leaving: Collection[int]) -> None:
        self.changes = PartitionChanges()
        self._image = image
        self._broker_id = broker_id
        self._leaving = leaving

    def outcome(self, item: AlterPartition) -> AlteredPartition:
        answer = AlteredPartition(topic_id=item.topic_id, partition=item.partition)
        known = self._image.partition(item.topic_id, item.partition)
        answer.partition_epoch = known.partition_epoch if known is not None else 0
        try:
            self._alter(item)
        except StreamkeepError as error:
            answer.error.CopyFrom(to_proto(error))
            return answer
        answer.partition_epoch += 1
        return answer

    def _alter(self, item: AlterPartition) -> None:
        found = find_partition(self._image, item.topic_id, item.partition)
        topic, current = found
        if current in self.changes:
            raise InvalidRequestError(f"{found.name} is named twice")
        self._check_leader(found.name, current, item)
        self._check_members(found.name, current, item)
        minimum = min_insync_replicas(topic)
        standing = self._standing(topic, current, [member.broker_id for member in item.isr])
        record = complete_reassignment(self._image, current, standing, min_insync_replicas=minimum)
        if record is None:
            self.changes.stand(Change(current, standing))
        else:
            self.changes.place(current, record)

    def _standing(self, topic: TopicImage, current: PartitionImage, isr: Collection[int]) -> Standing:
        proposed = current._replace(
            isr=tuple(each for each in current.replicas if each in isr),
            elr=tuple(each for each in current.isr + current.elr if each not in isr),
        )
        return elect(
            self._image,
            proposed,
            min_insync_replicas=min_insync_replicas(topic),
            unclean=is_unclean_allowed(topic),
        )

    def _check_leader(self, name: str, current: PartitionImage, item: AlterPartition) -> None:
        if item.leader_epoch < current.leader_epoch:
            raise FencedLeaderEpochError(f"{name} is at leader epoch {current.leader_epoch} already")
        if item.leader_epoch > current.leader_epoch:
            raise UnknownLeaderEpochError(f"{name} is at leader epoch {current.leader_epoch} still")
        if current.leader != self._broker_id:
            raise NotLeaderError(f"broker {current.leader} leads {name}")
        if item.partition_epoch != current.partition_epoch:
            raise StalePartitionEpochError(f"{name} is at partition epoch {current.partition_epoch}")

    def _check_members(self, name: str, current: PartitionImage, item: AlterPartition) -> None:
        ids = [member.broker_id for member in item.isr]
        if self._broker_id not in ids or len(set(ids)) != len(ids):
            raise InvalidRequestError(f"the in-sync replicas of {name} are its leader and others, each once")
        for member in item.isr:
            if (trouble := self._trouble(current, member)) is not None:
                raise IneligibleReplicaError(f"broker {member.broker_id} cannot be in sync: it {trouble}")

    def _trouble(self, current: PartitionImage, member: InSyncMember) -> str | None:
        """What speaks against a member. Disks and leaving do not speak against one that is in sync: it is
        only because nobody else could take its place.
        """
        broker = self._image.brokers.get(member.broker_id)
        if broker is None or member.broker_id not in current.replicas:
            return "has no replica"
        if broker.broker_epoch != member.broker_epoch:
            return f"is at epoch {broker.broker_epoch}, not {member.broker_epoch}"
        if broker.fenced:
            return "is fenced"
        if member.broker_id in current.isr:
            return None
        if member.broker_id in self._leaving:
            return "wants to stop"
        return None if is_good(self._image, current, member.broker_id) else "has trouble with its directory"
