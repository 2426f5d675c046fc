"""Replicas whose log directory is gone get another directory of their broker, to be copied there anew.

Only where others have the data: a replica that was the last to have it keeps its place, for the day when its
disk is back.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from streamkeep_common.image import REPLICATION_FEATURE_LEVEL, ClusterImage, PartitionImage, Standing
from streamkeep_coordinator.metadata.decision import Decision, Draft
from streamkeep_coordinator.metadata.find import current_broker
from streamkeep_coordinator.metadata.limits import MAX_PLACEMENTS_PER_ENTRY
from streamkeep_coordinator.metadata.members import has_directory
from streamkeep_coordinator.metadata.placement import Placement
from streamkeep_coordinator.metadata.standings import Change, PartitionChanges, placement_record
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord


def relocate_replicas(image: ClusterImage, broker_id: int, broker_epoch: int) -> Decision[int]:
    """For a broker that has registered; as many as fit into one entry. How many; ask until there are none.

    Below feature level 3 there are none.
    """
    broker = current_broker(image, broker_id, broker_epoch)
    draft = Draft(image)
    if image.feature_level < REPLICATION_FEATURE_LEVEL or not broker.directory_ids:
        return draft.decide(0)
    placement = Placement(image)
    lost = list(islice(_lost_replicas(image, broker_id), MAX_PLACEMENTS_PER_ENTRY))
    draft.write(*(_elsewhere(partition, broker_id, placement.directory(broker)) for partition in lost))
    return draft.decide(len(lost))


def _lost_replicas(image: ClusterImage, broker_id: int) -> Iterator[PartitionImage]:
    for topic in image.topics_of(broker_id):
        for partition in topic.partitions:
            if (
                broker_id in partition.replicas
                and (members := partition.isr + partition.elr)
                and broker_id not in members
                and not has_directory(image, partition, broker_id)
            ):
                yield partition


def with_directories(image: ClusterImage, partition: PartitionImage, placement: Placement) -> PartitionImage:
    """The partition with an empty place for each replica that has lost its own, where there is one. Below
    feature level 3 as it is. One `placement` for all partitions of a decision spreads them over directories.
    """
    if image.feature_level < REPLICATION_FEATURE_LEVEL:
        return partition
    directories = list(partition.directory_ids)
    for at, member in enumerate(partition.replicas):
        broker = image.brokers.get(member)
        if broker is not None and broker.directory_ids and directories[at] not in broker.directory_ids:
            directories[at] = placement.directory(broker)
    return partition._replace(directory_ids=tuple(directories))


def begin_again(
    partition: PartitionImage, placed: PartitionImage, standing: Standing, changes: PartitionChanges
) -> None:
    """A partition is led again by who may lack records. `placed` is the partition `with_directories`: now
    that there is somebody to copy from, replicas that have lost their directory get another one.
    """
    if placed.directory_ids == partition.directory_ids:
        changes.stand(Change(partition, standing))
    else:
        changes.place(partition, _relocated(partition, placed._replace(**standing._asdict())))


def _relocated(partition: PartitionImage, placed: PartitionImage) -> MetadataRecord:
    """The record for `placed`, which says where replicas of `partition` are and how it stands from now on.

    The leader epoch rises: what a broker acknowledged for a copy that is lost counts no more.
    """
    after = placed._replace(
        leader_epoch=partition.leader_epoch + 1, partition_epoch=partition.partition_epoch + 1
    )
    return placement_record(after)


def _elsewhere(partition: PartitionImage, broker_id: int, directory_id: bytes) -> MetadataRecord:
    directories = list(partition.directory_ids)
    directories[partition.replicas.index(broker_id)] = directory_id
    return _relocated(partition, partition._replace(directory_ids=tuple(directories)))
