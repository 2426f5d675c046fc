"""The image in the words of the metadata and administration services."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from streamkeep_common.errors import UnknownTopicError, to_proto
from streamkeep_common.image import ClusterImage, PartitionImage, TopicImage
from streamkeep_common.limits import ID_BYTES
from streamkeep_coordinator.consensus import Consensus
from streamkeep_coordinator.metadata.topic_settings import all_settings
from streamkeep_proto.v1.coordinator_pb2 import (
    BrokerInfo,
    CoordinatorInfo,
    PartitionInfo,
    TopicInfo,
    TopicListing,
)

D = TypeVar("D")

PARTITIONS_IN_ONE_GO = 1_000
"""Some 10 ms' worth."""


class Describer:
    """The processes of the cluster. `address` gives this coordinator's own, `coordinator_id` is its id."""

    def __init__(self, consensus: Consensus, coordinator_id: int, address: Callable[[], str]) -> None:
        self._consensus = consensus
        self._coordinator_id = coordinator_id
        self._address = address

    def coordinators(self, image: ClusterImage) -> list[CoordinatorInfo]:
        """All members of the quorum by id. Below feature level 2 there is one, which is this one."""
        active_id = self._consensus.active_id
        if image.quorum is None:
            is_active = active_id == self._coordinator_id
            own = CoordinatorInfo(
                coordinator_id=self._coordinator_id, address=self._address(), active=is_active
            )
            return [own]
        return [
            CoordinatorInfo(
                coordinator_id=member.coordinator_id,
                address=member.address,
                active=member.coordinator_id == active_id,
            )
            for member in image.quorum.members
        ]


async def collect(described: Iterable[D], partitions: Callable[[D], int]) -> list[D]:
    """All of a lazy iterable. Other work has its turn after every so many partitions: to describe all of a
    large cluster takes a second, and a coordinator that says nothing for so long is taken for dead.
    """
    collected: list[D] = []
    in_one_go = 0
    for each in described:
        collected.append(each)
        in_one_go += partitions(each)
        if in_one_go >= PARTITIONS_IN_ONE_GO:
            in_one_go = 0
            await asyncio.sleep(0)
    return collected


def broker_infos(image: ClusterImage) -> list[BrokerInfo]:
    """All brokers by id."""
    return [
        BrokerInfo(
            broker_id=broker.broker_id,
            broker_epoch=broker.broker_epoch,
            address=broker.address,
            rack=broker.rack,
            fenced=broker.fenced,
            draining=broker.draining,
            replicas=image.replica_counts.get(broker.broker_id, 0),
            leaders=image.leader_counts.get(broker.broker_id, 0),
            directory_ids=broker.directory_ids,
        )
        for broker in image.brokers.values()
    ]


def topics_by_name(image: ClusterImage) -> list[TopicImage]:
    return [image.topics[image.topic_ids[name]] for name in sorted(image.topic_ids)]


def topic_info(topic: TopicImage, *, in_detail: bool = False) -> TopicInfo:
    return TopicInfo(
        name=topic.name,
        topic_id=topic.topic_id,
        partitions=[_partition_info(each, in_detail=in_detail) for each in topic.partitions],
        settings=all_settings(topic) if in_detail else (),
    )


def named_topic_info(image: ClusterImage, name: str, *, in_detail: bool = False) -> TopicInfo:
    """The topic, or the error that there is none."""
    topic = image.topic(name)
    if topic is None:
        return TopicInfo(name=name, error=to_proto(UnknownTopicError(f"there is no topic {name}")))
    return topic_info(topic, in_detail=in_detail)


def identified_topic_info(image: ClusterImage, topic_id: bytes) -> TopicInfo:
    """The topic, or the error that there is none."""
    topic = image.topics.get(topic_id)
    if topic is None:
        error = UnknownTopicError(f"there is no topic with id {topic_id[:ID_BYTES].hex()}")
        return TopicInfo(topic_id=topic_id, error=to_proto(error))
    return topic_info(topic)


def topic_listing(topic: TopicImage) -> TopicListing:
    return TopicListing(
        name=topic.name,
        topic_id=topic.topic_id,
        partitions=len(topic.partitions),
        replication_factor=topic.replication_factor,
    )


def _partition_info(partition: PartitionImage, *, in_detail: bool) -> PartitionInfo:
    return PartitionInfo(
        partition=partition.partition,
        leader=partition.leader,
        leader_epoch=partition.leader_epoch,
        partition_epoch=partition.partition_epoch,
        replicas=partition.replicas,
        isr=partition.isr,
        elr=partition.elr,
        adding_replicas=partition.adding_replicas,
        removing_replicas=partition.removing_replicas,
        last_members=partition.last_members,
        directory_ids=partition.directory_ids if in_detail else (),
    )
