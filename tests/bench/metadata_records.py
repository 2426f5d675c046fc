"""Endless streams of records, one for each type, that fit an image of `metadata_scale` one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, cycle

from streamkeep_common.image import ClusterImage, PartitionImage
from streamkeep_proto.v1.metadata_pb2 import (
    BrokerFencedRecord,
    BrokerRecord,
    FeatureLevelRecord,
    MetadataRecord,
    NoOpRecord,
    PartitionChangeRecord,
    PartitionChangesRecord,
    PartitionRecord,
    PartitionStanding,
    ProducerIdsRecord,
    QuorumRecord,
    SettingRecord,
    TopicRecord,
    TopicRemovedRecord,
)

FIRST_NEW_TOPIC = 10**6
BATCH = 100


def topic_id(number: int) -> bytes:
    """Spread like random ids, and the same in every run."""
    return (number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128).to_bytes(16, "big")


def topic_record(number: int) -> MetadataRecord:
    return MetadataRecord(topic=TopicRecord(topic_id=topic_id(number), name=f"topic-{number}"))


def partition_record(topic: int, number: int) -> MetadataRecord:
    replicas = [(topic + number + each) % 3 + 1 for each in range(3)]
    return MetadataRecord(
        partition=PartitionRecord(
            topic_id=topic_id(topic),
            partition=number,
            replicas=replicas,
            directory_ids=[broker_id.to_bytes(16, "big") for broker_id in replicas],
            isr=replicas,
            leader=replicas[0],
            leader_epoch=1,
            partition_epoch=1,
        )
    )


def _no_ops(_image: ClusterImage) -> Iterator[MetadataRecord]:
    while True:
        yield MetadataRecord(no_op=NoOpRecord())


def _feature_levels(image: ClusterImage) -> Iterator[MetadataRecord]:
    while True:
        yield MetadataRecord(feature_level=FeatureLevelRecord(level=image.feature_level))


def _quorums(image: ClusterImage) -> Iterator[MetadataRecord]:
    assert image.quorum is not None
    for epoch in count(2):
        yield MetadataRecord(quorum=QuorumRecord(cluster_epoch=epoch, members=image.quorum.members))


def _brokers(image: ClusterImage) -> Iterator[MetadataRecord]:
    for epoch in count(2):
        record = BrokerRecord()
        record.CopyFrom(image.brokers[1].registration)
        record.broker_epoch = epoch
        yield MetadataRecord(broker=record)


def _fences(_image: ClusterImage) -> Iterator[MetadataRecord]:
    for fenced in cycle((True, False)):
        yield MetadataRecord(broker_fenced=BrokerFencedRecord(broker_id=1, broker_epoch=1, fenced=fenced))


def _topics(_image: ClusterImage) -> Iterator[MetadataRecord]:
    return (topic_record(number) for number in count(FIRST_NEW_TOPIC))


def _removals(image: ClusterImage) -> Iterator[MetadataRecord]:
    return (MetadataRecord(topic_removed=TopicRemovedRecord(topic_id=key)) for key in image.topics)


def _partitions(image: ClusterImage) -> Iterator[MetadataRecord]:
    for number in range(len(image.topics[topic_id(0)].partitions), 10**6):
        yield partition_record(0, number)


def _changes(image: ClusterImage) -> Iterator[MetadataRecord]:
    for epoch in count(2):
        for partition in _all_partitions(image):
            yield MetadataRecord(
                partition_change=PartitionChangeRecord(
                    topic_id=partition.topic_id,
                    partition=partition.partition,
                    isr=partition.isr,
                    leader=partition.isr[epoch % 3],
                    leader_epoch=epoch,
                    partition_epoch=epoch,
                )
            )


def _compact_changes(image: ClusterImage) -> Iterator[MetadataRecord]:
    """Of up to 100 partitions each."""
    for epoch in count(2):
        for topic in image.topics.values():
            numbers = range(min(len(topic.partitions), BATCH))
            isrs = [topic.partitions[number].isr for number in numbers]
            yield MetadataRecord(
                partition_changes=PartitionChangesRecord(
                    topic_id=topic.topic_id,
                    partitions=numbers,
                    standing_indexes=[number % 3 for number in numbers],
                    leader_epochs=[epoch] * len(numbers),
                    partition_epochs=[epoch] * len(numbers),
                    standings=[PartitionStanding(isr=isrs[0], leader=leader) for leader in isrs[0]],
                )
            )


def _settings(image: ClusterImage) -> Iterator[MetadataRecord]:
    for value in count(1):
        for key in image.topics:
            yield MetadataRecord(setting=SettingRecord(topic_id=key, name="retention_ms", value=str(value)))


def _producer_ids(_image: ClusterImage) -> Iterator[MetadataRecord]:
    for block in count(1):
        yield MetadataRecord(producer_ids=ProducerIdsRecord(next_producer_id=1_000 * block))


def _all_partitions(image: ClusterImage) -> Iterator[PartitionImage]:
    return (partition for topic in image.topics.values() for partition in topic.partitions)


STREAMS: dict[str, Callable[[ClusterImage], Iterator[MetadataRecord]]] = {
    "no_op": _no_ops,
    "feature_level": _feature_levels,
    "quorum": _quorums,
    "broker": _brokers,
    "broker_fenced": _fences,
    "topic": _topics,
    "topic_removed": _removals,
    "partition": _partitions,
    "partition_change": _changes,
    "partition_changes": _compact_changes,
    "setting": _settings,
    "producer_ids": _producer_ids,
}
