"""The image as records that build it from nothing: the content of a snapshot."""

from __future__ import annotations

from collections.abc import Iterator

from streamkeep_common.image.model import BrokerImage, ClusterImage, PartitionImage, TopicImage
from streamkeep_proto.v1.metadata_pb2 import (
    BrokerFencedRecord,
    BrokerRecord,
    BrokerRemovedRecord,
    ClusterRecord,
    FeatureLevelRecord,
    MetadataRecord,
    PartitionRecord,
    ProducerIdsRecord,
    SettingRecord,
    TopicRecord,
)


def to_records(image: ClusterImage) -> Iterator[MetadataRecord]:
    """Records in an order that can be applied; equal images give equal records.

    Lazy, so that a large snapshot can be made in pieces while the event loop does other things.
    """
    if image.cluster_id:
        yield MetadataRecord(cluster=ClusterRecord(cluster_id=image.cluster_id))
    if image.feature_level:
        yield MetadataRecord(feature_level=FeatureLevelRecord(level=image.feature_level))
    if image.quorum is not None:
        yield MetadataRecord(quorum=image.quorum)
    if image.next_producer_id > 1:
        yield MetadataRecord(producer_ids=ProducerIdsRecord(next_producer_id=image.next_producer_id))
    for broker in image.brokers.values():
        yield from _broker_records(broker)
    for broker_id, broker_epoch in sorted(image.removed_brokers.items()):
        yield MetadataRecord(broker=BrokerRecord(broker_id=broker_id, broker_epoch=broker_epoch))
        yield MetadataRecord(broker_removed=BrokerRemovedRecord(broker_id=broker_id))
    for topic in image.topics.values():
        yield from _topic_records(topic)


def to_partition_record(partition: PartitionImage) -> PartitionRecord:
    """The message of which the image's partition is a copy."""
    return PartitionRecord(
        topic_id=partition.topic_id,
        partition=partition.partition,
        replicas=partition.replicas,
        directory_ids=partition.directory_ids,
        isr=partition.isr,
        elr=partition.elr,
        leader=partition.leader,
        leader_epoch=partition.leader_epoch,
        partition_epoch=partition.partition_epoch,
        adding_replicas=partition.adding_replicas,
        removing_replicas=partition.removing_replicas,
        last_members=partition.last_members,
    )


def _broker_records(broker: BrokerImage) -> Iterator[MetadataRecord]:
    yield MetadataRecord(broker=broker.registration)
    if not broker.fenced:
        yield MetadataRecord(
            broker_fenced=BrokerFencedRecord(broker_id=broker.broker_id, broker_epoch=broker.broker_epoch)
        )


def _topic_records(topic: TopicImage) -> Iterator[MetadataRecord]:
    yield MetadataRecord(topic=TopicRecord(topic_id=topic.topic_id, name=topic.name))
    for name, value in sorted(topic.settings.items()):
        yield MetadataRecord(setting=SettingRecord(topic_id=topic.topic_id, name=name, value=value))
    for partition in topic.partitions:
        yield MetadataRecord(partition=to_partition_record(partition))
