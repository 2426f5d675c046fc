"""What `topic create` asks for: what was said and, with --like, the rest as another topic has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamkeep_proto.v1.coordinator_pb2 import TopicInfo, TopicOutcome


class NewTopic(NamedTuple):
    """None: not said. `settings` are those other than their defaults."""

    partitions: int | None
    replication_factor: int | None
    settings: Mapping[str, str]

    def like(self, other: TopicInfo) -> NewTopic:
        """What was not said as `other` has it. Of its settings those that are set: the defaults of both are
        the same, and stay so. Replicas that are being moved away do not count."""
        first = other.partitions[0]
        is_set = {setting.name: setting.value for setting in other.settings if not setting.is_default}
        return NewTopic(
            self.partitions or len(other.partitions),
            self.replication_factor or len(first.replicas) - len(first.removing_replicas),
            is_set | dict(self.settings),
        )


async def create_topic(
    cluster: Cluster, name: str, wanted: NewTopic, *, like: str | None, validate_only: bool
) -> TopicOutcome:
    """Raises CommandError if there is no topic `like`."""
    if like is not None:
        wanted = wanted.like(await cluster.topic(like))
    return await cluster.admin.create_topic(
        name,
        partitions=wanted.partitions or 0,
        replication_factor=wanted.replication_factor or 0,
        settings=wanted.settings,
        validate_only=validate_only,
    )
