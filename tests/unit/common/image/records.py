"""Metadata records for tests, by short names."""

from __future__ import annotations

from collections.abc import Sequence

from streamkeep_proto.v1.metadata_pb2 import (
    BrokerFencedRecord,
    BrokerRecord,
    BrokerRemovedRecord,
    ClusterRecord,
    FeatureLevelRecord,
    MetadataRecord,
    NoOpRecord,
    PartitionChangeRecord,
    PartitionChangesRecord,
    PartitionPlacementRecord,
    PartitionRecord,
    PartitionStanding,
    QuorumMember,
    QuorumRecord,
    SettingRecord,
    TopicRecord,
    TopicRemovedRecord,
)


def topic_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def directory_id(broker_id: int) -> bytes:
    return b"dir" + broker_id.to_bytes(13, "big")


def topic(number: int, name: str | None = None) -> MetadataRecord:
    return MetadataRecord(topic=TopicRecord(topic_id=topic_id(number), name=name or f"topic-{number}"))


def topic_removed(number: int) -> MetadataRecord:
    return MetadataRecord(topic_removed=TopicRemovedRecord(topic_id=topic_id(number)))


def partition(number: int, partition: int, *, leader: int = 1) -> MetadataRecord:
    return MetadataRecord(
        partition=PartitionRecord(
            topic_id=topic_id(number),
            partition=partition,
            replicas=[1],
            directory_ids=[directory_id(1)],
            isr=[1] if leader else [],
            elr=[] if leader else [1],
            leader=leader,
            leader_epoch=1,
            partition_epoch=1,
        )
    )


def partition_change(number: int, partition: int, *, leader: int, epoch: int) -> MetadataRecord:
    return MetadataRecord(
        partition_change=PartitionChangeRecord(
            topic_id=topic_id(number),
            partition=partition,
            isr=[1] if leader else [],
            elr=[] if leader else [1],
            leader=leader,
            leader_epoch=epoch,
            partition_epoch=epoch,
        )
    )


def partition_changes(number: int, *partitions: int, leader: int, epoch: int) -> MetadataRecord:
    """All partitions to one leader at one epoch."""
    standing = PartitionStanding(isr=[1] if leader else [], elr=[] if leader else [1], leader=leader)
    return MetadataRecord(
        partition_changes=PartitionChangesRecord(
            topic_id=topic_id(number),
            partitions=partitions,
            standing_indexes=[0] * len(partitions),
            leader_epochs=[epoch] * len(partitions),
            partition_epochs=[epoch] * len(partitions),
            standings=[standing],
        )
    )


def placement(
    number: int,
    partition: int,
    *replicas: int,
    epoch: int,
    leader_epoch: int = 1,
    adding: Sequence[int] = (),
    removing: Sequence[int] = (),
) -> MetadataRecord:
    """The first replica leads alone."""
    record = PartitionRecord(
        topic_id=topic_id(number),
        partition=partition,
        replicas=replicas,
        directory_ids=map(directory_id, replicas),
        isr=replicas[:1],
        leader=replicas[0],
        leader_epoch=leader_epoch,
        partition_epoch=epoch,
        adding_replicas=adding,
        removing_replicas=removing,
    )
    return MetadataRecord(partition_placement=PartitionPlacementRecord(partition=record))


def setting(number: int, name: str, value: str | None) -> MetadataRecord:
    return MetadataRecord(setting=SettingRecord(topic_id=topic_id(number), name=name, value=value))


def broker(broker_id: int, epoch: int = 1) -> MetadataRecord:
    return MetadataRecord(
        broker=BrokerRecord(
            broker_id=broker_id,
            broker_epoch=epoch,
            incarnation_id=bytes(15) + bytes([epoch]),
            address=f"127.0.0.1:{7200 + broker_id}",
            directory_ids=[directory_id(broker_id)],
            min_feature_level=1,
            max_feature_level=1,
        )
    )


def broker_removed(broker_id: int) -> MetadataRecord:
    return MetadataRecord(broker_removed=BrokerRemovedRecord(broker_id=broker_id))


def fenced(broker_id: int, epoch: int = 1, *, is_fenced: bool) -> MetadataRecord:
    return MetadataRecord(
        broker_fenced=BrokerFencedRecord(broker_id=broker_id, broker_epoch=epoch, fenced=is_fenced)
    )


def quorum(*coordinator_ids: int, cluster_epoch: int = 1, voter: bool = True) -> MetadataRecord:
    members = [
        QuorumMember(
            coordinator_id=coordinator_id,
            directory_id=coordinator_id.to_bytes(16, "big"),
            address=f"127.0.0.1:{7100 + coordinator_id}",
            voter=voter,
            min_feature_level=1,
            max_feature_level=3,
        )
        for coordinator_id in coordinator_ids
    ]
    return MetadataRecord(quorum=QuorumRecord(cluster_epoch=cluster_epoch, members=members))


def feature_level(level: int) -> MetadataRecord:
    return MetadataRecord(feature_level=FeatureLevelRecord(level=level))


def first_entry_at_level_1(cluster_id: str) -> tuple[MetadataRecord, ...]:
    """As the version before the quorum wrote it; its logs are still read."""
    return (
        MetadataRecord(no_op=NoOpRecord()),
        MetadataRecord(cluster=ClusterRecord(cluster_id=cluster_id)),
        feature_level(1),
    )
