"""Topics, partitions and brokers by what requests call them."""

from __future__ import annotations

from typing import NamedTuple

from streamkeep_common.errors import (
    StaleBrokerEpochError,
    UnknownBrokerError,
    UnknownPartitionError,
    UnknownTopicError,
)
from streamkeep_common.image import BrokerImage, ClusterImage, PartitionImage, TopicImage
from streamkeep_common.limits import ID_BYTES


class Found(NamedTuple):
    """A partition and its topic."""

    topic: TopicImage
    partition: PartitionImage

    @property
    def name(self) -> str:
        return f"{self.topic.name}-{self.partition.partition}"


def find_partition(image: ClusterImage, topic_id: bytes, number: int) -> Found:
    """UnknownTopicError, UnknownPartitionError if there is none."""
    topic = image.topics.get(topic_id)
    if topic is None:
        raise UnknownTopicError(f"there is no topic with id {topic_id[:ID_BYTES].hex()}")
    return _numbered(topic, number)


def find_named_partition(image: ClusterImage, name: str, number: int) -> Found:
    """UnknownTopicError, UnknownPartitionError if there is none."""
    return _numbered(find_topic(image, name), number)


def find_topic(image: ClusterImage, name: str) -> TopicImage:
    """UnknownTopicError if there is none."""
    topic = image.topic(name)
    if topic is None:
        raise UnknownTopicError(f"there is no topic {name}")
    return topic


def current_broker(image: ClusterImage, broker_id: int, broker_epoch: int) -> BrokerImage:
    """The broker, if that is its epoch. UnknownBrokerError, StaleBrokerEpochError."""
    broker = image.brokers.get(broker_id)
    if broker is None:
        raise UnknownBrokerError(f"broker {broker_id} is not registered: it never was, or it was removed")
    if broker.broker_epoch != broker_epoch:
        raise StaleBrokerEpochError(
            f"broker {broker_id} is at epoch {broker.broker_epoch}, not {broker_epoch}"
        )
    return broker


def _numbered(topic: TopicImage, number: int) -> Found:
    if number >= len(topic.partitions):
        raise UnknownPartitionError(f"topic {topic.name} has no partition {number}")
    return Found(topic, topic.partitions[number])
