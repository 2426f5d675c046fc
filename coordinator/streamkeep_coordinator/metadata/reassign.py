"""How the replicas of one partition move (KIP-455): first new ones are copied, then old ones go.

While a move is under way the partition has the replicas that it shall have, in that order, and after them the
old ones that it shall not have. It is complete, in the very change that says so, when all that it shall have
are in sync. Going back leaves out what was to be added; in which order the old replicas once stood is not
kept, as in Kafka.

A replica that changes its log directory within a broker is copied anew from the leader. It leaves the in-sync
replicas until then, and the leader epoch rises, so that what its old copy still acknowledges counts no more.

Pure, and about one partition: which replicas it is to have is decided by plans and by users.
"""

from __future__ import annotations

from collections.abc import Collection

from streamkeep_common.errors import InvalidReplicaAssignmentError, ReassignmentInProgressError
from streamkeep_common.image import ClusterImage, PartitionImage, Standing, TopicImage
from streamkeep_coordinator.metadata.elections import elect
from streamkeep_coordinator.metadata.placement import Placed
from streamkeep_coordinator.metadata.standings import placement_record
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord


def is_moving(partition: PartitionImage) -> bool:
    """A reassignment is under way."""
    return bool(partition.adding_replicas or partition.removing_replicas)


def check_idle(topic: TopicImage, partition: PartitionImage) -> None:
    """ReassignmentInProgressError if a move is under way."""
    if is_moving(partition):
        raise ReassignmentInProgressError(
            f"{topic.name}-{partition.partition} is being moved to brokers {_ids(partition.target_replicas)}"
        )


def copied_anew(partition: PartitionImage, target: Placed) -> tuple[int, ...]:
    """The brokers that have to copy the partition: they have no replica, or have it in another directory."""
    return tuple(
        broker_id
        for broker_id, directory_id in zip(*target, strict=True)
        if partition.directory_of(broker_id) != directory_id
    )


def begin_reassignment(
    image: ClusterImage, partition: PartitionImage, target: Placed, *, min_insync_replicas: int
) -> MetadataRecord:
    """The partition on its way to `target`, or there if nothing has to be copied. No move is under way.

    InvalidReplicaAssignmentError if every in-sync replica would go and none come, or if too few would be in
    sync while a replica changes its directory.
    """
    assert not is_moving(partition), "one move at a time"
    removing = tuple(each for each in partition.replicas if each not in target.replicas)
    adding = tuple(each for each in target.replicas if each not in partition.replicas)
    _check_removal(partition, adding, removing)
    changing = [each for each in copied_anew(partition, target) if each not in adding]
    begun = _without(partition, changing)._replace(
        replicas=target.replicas + removing,
        directory_ids=target.directory_ids + tuple(_directory(partition, each) for each in removing),
        adding_replicas=adding,
        removing_replicas=removing,
    )
    _check_directories(partition, begun, changing, min_insync_replicas)
    after = _completed(begun) if _is_complete(begun) else begun
    return _placed(image, partition, after, min_insync_replicas)


def complete_reassignment(
    image: ClusterImage, partition: PartitionImage, standing: Standing, *, min_insync_replicas: int
) -> MetadataRecord | None:
    """What to write in place of the partition's change to `standing` if that completes a move; else None.

    Ask whenever replicas come into sync. The leader stays if it is to have a replica, else one is elected.
    """
    after = partition._replace(**standing._asdict())
    if not is_moving(partition) or not _is_complete(after):
        return None
    return _placed(image, partition, _completed(after), min_insync_replicas)


def cancel_reassignment(
    image: ClusterImage, partition: PartitionImage, *, min_insync_replicas: int
) -> MetadataRecord:
    """The partition with the replicas that it had, also if an added one is in sync, or leads.

    InvalidReplicaAssignmentError if none of the old replicas can lead now, and one that is to go may have
    records that they lack.
    """
    assert is_moving(partition), "there is nothing to go back from"
    before = _only(partition, [each for each in partition.replicas if each not in partition.adding_replicas])
    record = _placed(image, partition, before, min_insync_replicas)
    dropped = _with_data(partition) - _with_data(before)
    if dropped and not record.partition_placement.partition.leader:
        raise InvalidReplicaAssignmentError(
            f"it cannot be cancelled now: none of brokers {_ids(before.replicas)} is in sync and alive, "
            f"and the copy of {_ids(sorted(dropped))}, which may have records that they lack, would go"
        )
    return record


def _is_complete(partition: PartitionImage) -> bool:
    return set(partition.target_replicas) <= set(partition.isr)


def _completed(partition: PartitionImage) -> PartitionImage:
    return _only(partition, partition.target_replicas)


def _only(partition: PartitionImage, replicas: Collection[int]) -> PartitionImage:
    """The partition with those of its replicas and no others, and no move under way."""
    left = _without(partition, [each for each in partition.replicas if each not in replicas])
    return left._replace(
        replicas=tuple(replicas),
        directory_ids=tuple(_directory(partition, each) for each in replicas),
        adding_replicas=(),
        removing_replicas=(),
    )


def _without(partition: PartitionImage, members: Collection[int]) -> PartitionImage:
    """The partition with those neither in sync, nor eligible, nor leading."""
    return partition._replace(
        isr=tuple(each for each in partition.isr if each not in members),
        elr=tuple(each for each in partition.elr if each not in members),
        last_members=tuple(each for each in partition.last_members if each not in members),
        leader=0 if partition.leader in members else partition.leader,
    )


def _placed(
    image: ClusterImage, before: PartitionImage, after: PartitionImage, min_insync_replicas: int
) -> MetadataRecord:
    """The record, with a leader and with new epochs.

    The leader epoch rises with a new leader, and whenever a copy is dropped: what a broker acknowledged for
    that copy must not count for the next one that it gets.
    """
    elected = elect(image, after, min_insync_replicas=min_insync_replicas)
    is_dropped = any(after.directory_of(each) != _directory(before, each) for each in before.replicas)
    placed = after._replace(
        **elected._asdict(),
        leader_epoch=before.leader_epoch + (is_dropped or elected.leader != before.leader),
        partition_epoch=before.partition_epoch + 1,
    )
    return placement_record(placed)


def _check_removal(partition: PartitionImage, adding: Collection[int], removing: Collection[int]) -> None:
    if partition.isr and not adding and set(partition.isr) <= set(removing):
        raise InvalidReplicaAssignmentError(
            f"only {_ids(partition.isr)} are in sync, and would be removed: "
            f"wait until the others are in sync, or keep one of them"
        )


def _check_directories(
    partition: PartitionImage, begun: PartitionImage, changing: Collection[int], min_insync_replicas: int
) -> None:
    required = max(partition.required_isr(min_insync_replicas), 1)
    if len(begun.isr) < required and not _with_data(partition).isdisjoint(changing):
        raise InvalidReplicaAssignmentError(
            f"a replica that changes its log directory is copied anew and is not in sync meanwhile, which "
            f"would leave {len(begun.isr)} in sync where {required} are needed: move fewer at a time, wait "
            f"until more are in sync, or move it to another broker"
        )


def _with_data(partition: PartitionImage) -> frozenset[int]:
    """Who may have all that was acknowledged."""
    return frozenset(partition.isr + partition.elr + partition.last_members)


def _directory(partition: PartitionImage, broker_id: int) -> bytes:
    directory_id = partition.directory_of(broker_id)
    assert directory_id is not None, f"broker {broker_id} has a replica"
    return directory_id


def _ids(brokers: Collection[int]) -> str:
    return ", ".join(map(str, brokers)) or "none"
