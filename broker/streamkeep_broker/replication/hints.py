"""What clients are told of a partition that another broker leads, or that nobody here knows."""

from __future__ import annotations

from streamkeep_common.errors import (
    NotLeaderError,
    StreamkeepError,
    UnknownPartitionError,
    UnknownTopicError,
)
from streamkeep_common.image import ClusterImage, PartitionImage
from streamkeep_common.limits import ID_BYTES
from streamkeep_proto.v1.errors_pb2 import LeaderHint


def leader_hint(image: ClusterImage, partition: PartitionImage) -> LeaderHint | None:
    """Who leads, and where; None if nobody does."""
    leader = image.brokers.get(partition.leader)
    if leader is None:
        return None
    return LeaderHint(broker_id=partition.leader, address=leader.address, leader_epoch=partition.leader_epoch)


def why_absent(image: ClusterImage, topic_id: bytes, number: int, *, broker_id: int) -> StreamkeepError:
    """Why the broker does not host the partition."""
    if not image.index:
        return NotLeaderError(f"broker {broker_id} has just started and has no metadata yet")
    topic = image.topics.get(topic_id)
    if topic is None:
        return UnknownTopicError(f"broker {broker_id} knows no topic with id {topic_id[:ID_BYTES].hex()}")
    if number >= len(topic.partitions):
        return UnknownPartitionError(
            f"topic {topic.name} has {len(topic.partitions)} partitions, and none of number {number}"
        )
    hint = leader_hint(image, topic.partitions[number])
    return NotLeaderError(f"broker {broker_id} does not host {topic.name}-{number}", leader=hint)
