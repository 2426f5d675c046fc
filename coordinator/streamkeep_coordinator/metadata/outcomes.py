"""One outcome an item: an item that fails says why and leaves the others alone."""

from __future__ import annotations

from collections.abc import Callable

from streamkeep_common.errors import StreamkeepError, to_proto
from streamkeep_common.image import TopicImage
from streamkeep_coordinator.metadata.topic_settings import min_insync_replicas
from streamkeep_proto.v1.coordinator_pb2 import TopicOutcome


def outcome_of(name: str, act: Callable[[], TopicOutcome]) -> TopicOutcome:
    """What `act` says, or the error that it raises; `act` changes nothing before it raises."""
    try:
        return act()
    except StreamkeepError as error:
        return TopicOutcome(name=name, error=to_proto(error))


def success(topic: TopicImage) -> TopicOutcome:
    """The topic as it is now."""
    return TopicOutcome(
        name=topic.name,
        topic_id=topic.topic_id,
        partitions=len(topic.partitions),
        replication_factor=topic.replication_factor,
        min_insync_replicas=min(min_insync_replicas(topic), topic.replication_factor),
    )
