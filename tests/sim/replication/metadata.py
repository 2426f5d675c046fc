"""What the coordinators have committed about partitions, entry by entry: is it allowed, and what was it?

VALID_SETS    in-sync and eligible replicas are replicas, apart from each other, and there is a leader in
              the in-sync set or none at all; eligible ones only while too few are in sync, last members
              only while there is nobody else
NOT_FENCED    who is in sync is not fenced, and has the replica's directory
ELECTED       who leads was in sync, eligible or among the last of these, unless an operator forced it
EPOCHS        leader and partition epochs never go back, and a change of the leader is a new epoch
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Protocol

from streamkeep_common.image import ClusterImage, ImageDelta, PartitionImage, apply
from streamkeep_common.settings import TopicSettings
from streamkeep_proto.v1.coordinator_pb2 import AlterPartition
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry
from tests.sim.replication.history import Election
from tests.sim.violation import require

VALID_SETS = "in-sync and eligible replicas are valid"
NOT_FENCED = "nobody fenced is in sync"
ELECTED = "only who may have all that is committed is elected"
EPOCHS = "epochs rise with changes"


class Follower(Protocol):
    """Who acts on what was committed."""

    def partition_changed(self, partition: PartitionImage, election: Election | None) -> None:
        """A partition is new, or is not as it was; `election` if another one leads, or the same one anew."""
        ...

    def registered(self, broker_id: int) -> None:
        """The broker's present process is known."""
        ...


class CommittedMetadata:
    """The image as the committed entries say, built here once more. `note` is told what happens."""

    def __init__(self, note: Callable[[str, str], None], follower: Follower) -> None:
        self.image = ClusterImage()
        self.forced: set[tuple[bytes, int]] = set()
        """Partitions for which an operator has asked for a leader that may lack records."""
        self._proposed: dict[tuple[bytes, int, int], dict[int, None]] = {}
        """Whom leaders have proposed, by partition and partition epoch: with the decision that lets one into
        the in-sync set the leader may leave it."""
        self._note = note
        self._follower = follower

    def apply(self, entry: MetadataEntry) -> None:
        """The next committed entry."""
        self.image, delta = apply(self.image, entry.records, entry.index)
        for partition in _all_partitions(self.image):
            self._check_sets(partition)
        self._registrations(delta)
        for partition in delta.changed_partitions:
            before = delta.before.partition(partition.topic_id, partition.partition)
            self._changed(before, partition)

    def proposed(self, item: AlterPartition) -> None:
        """A leader has sent this to the coordinators."""
        known = self._proposed.setdefault((item.topic_id, item.partition, item.partition_epoch), {})
        known.update(dict.fromkeys(member.broker_id for member in item.isr))

    def name_of(self, partition: PartitionImage) -> str:
        return f"{self.image.topics[partition.topic_id].name}-{partition.partition}"

    def required_isr(self, partition: PartitionImage) -> int:
        """How many have to be in sync for anything to be acknowledged."""
        settings = TopicSettings.of(self.image.topics[partition.topic_id].settings)
        return partition.required_isr(settings.min_insync_replicas)

    def is_whole_without(self, broker_id: int) -> bool:
        """Every partition that is kept more than once has somebody else in sync."""
        return all(
            len(partition.replicas) == 1 or set(partition.isr) - {broker_id}
            for partition in _all_partitions(self.image)
        )

    # --- is it allowed? ---

    def _check_sets(self, partition: PartitionImage) -> None:
        isr, elr = partition.isr, partition.elr
        told = f"{self.name_of(partition)}: {partition[2:]}"
        members = {*isr, *elr}
        require(len(members) == len(isr) + len(elr), VALID_SETS, told)
        require(members <= {*partition.replicas}, VALID_SETS, told)
        require(partition.leader in isr if isr else not partition.leader, VALID_SETS, told)
        require(not elr or len(isr) < self.required_isr(partition), VALID_SETS, told)
        require(not partition.last_members or not members, VALID_SETS, told)
        for member in isr:
            broker = self.image.brokers[member]
            directory_id = partition.directory_of(member)
            require(not broker.fenced, NOT_FENCED, f"broker {member}, {told}")
            require(directory_id in broker.directory_ids, NOT_FENCED, f"directory of {member}, {told}")

    def _check_epochs(self, before: PartitionImage, after: PartitionImage) -> None:
        told = f"{self.name_of(after)}: from {before[6:9]} to {after[6:9]}"
        require(after.partition_epoch == before.partition_epoch + 1, EPOCHS, told)
        require(after.leader_epoch >= before.leader_epoch, EPOCHS, told)
        require(after.leader == before.leader or after.leader_epoch > before.leader_epoch, EPOCHS, told)

    # --- what was it? ---

    def _registrations(self, delta: ImageDelta) -> None:
        for broker_id in delta.changed_brokers:
            before, after = delta.before.brokers.get(broker_id), delta.after.brokers.get(broker_id)
            if after is None:
                continue
            if before is None or before.broker_epoch != after.broker_epoch:
                self._follower.registered(broker_id)
            elif after.fenced and not before.fenced:
                self._note("fenced", f"broker {broker_id}")

    def _changed(self, before: PartitionImage | None, after: PartitionImage) -> None:
        self._note(
            "partition",
            f"{self.name_of(after)} leader {after.leader} epoch {after.leader_epoch} isr {after.isr} "
            f"elr {after.elr} last {after.last_members} replicas {after.replicas}",
        )
        election = None
        if before is None:
            election = Election(after.leader, after.isr)
        else:
            self._check_epochs(before, after)
            self._count_changes(before, after)
            if after.leader_epoch > before.leader_epoch:
                election = self._elected(before, after)
        self._follower.partition_changed(after, election)

    def _elected(self, before: PartitionImage, after: PartitionImage) -> Election:
        proposed = self._proposed.get((before.topic_id, before.partition, before.partition_epoch), {})
        members = (*before.isr, *before.elr, *proposed)
        candidates = (*members, *before.last_members)
        topic = self.image.topics[after.topic_id]
        forced = (after.topic_id, after.partition) in self.forced
        forced = forced or TopicSettings.of(topic.settings).unclean_leader_election == "on"
        require(
            not after.leader or after.leader in candidates or forced,
            ELECTED,
            f"{self.name_of(after)}: {after.leader}, not one of {candidates}",
        )
        if after.leader and after.leader != before.leader:
            self._note(_kind_of_election(before, after, candidates, forced=forced), self.name_of(after))
        is_last_resort = bool(after.leader) and after.leader not in members
        return Election(
            after.leader, candidates, forced=is_last_resort and forced, last_resort=is_last_resort
        )

    def _count_changes(self, before: PartitionImage, after: PartitionImage) -> None:
        name = self.name_of(after)
        if len(after.isr) < len(before.isr):
            self._note("ISR shrunk", name)
        if len(after.isr) > len(before.isr) and before.leader == after.leader:
            self._note("ISR expanded", name)
        if after.elr and not before.elr:
            self._note("ELR begun", name)
        if after.last_members and not before.last_members:
            self._note("without members", name)
        was_moving = before.adding_replicas or before.removing_replicas
        is_moving = after.adding_replicas or after.removing_replicas
        if is_moving and not was_moving:
            self._note("reassignment begun", f"{name} {after.replicas} to {after.target_replicas}")
        if was_moving and not is_moving:
            done = set(after.replicas) == set(before.target_replicas)
            self._note("reassignment completed" if done else "reassignment cancelled", name)


def _kind_of_election(
    before: PartitionImage, after: PartitionImage, candidates: Collection[int], *, forced: bool
) -> str:
    if after.leader in before.elr:
        return "elected from ELR"
    if after.leader in candidates and after.leader not in before.last_members:
        return "elected"
    return "elected by force" if forced else "elected as last resort"


def _all_partitions(image: ClusterImage) -> Iterator[PartitionImage]:
    for topic in image.topics.values():
        yield from topic.partitions
