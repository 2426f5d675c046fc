"""What `topic alter` changes: settings, partitions and replicas of a topic, in the order that risks least."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from streamctl.cluster import Cluster
from streamctl.planned import PlannedMove, resize
from streamkeep_proto.v1.coordinator_pb2 import TopicOutcome


class TopicChanges(NamedTuple):
    """What was asked for; None and nothing = leave it."""

    settings: Mapping[str, str]
    unset: tuple[str, ...]
    partitions: int | None
    replication_factor: int | None

    def __bool__(self) -> bool:
        return any(change for change in self)


async def change_topic(
    cluster: Cluster, name: str, changes: TopicChanges, *, validate_only: bool
) -> tuple[TopicOutcome | None, list[PlannedMove] | None]:
    """What became of settings and partitions, and the moves that replicas need; None = not asked for."""
    await cluster.topic(name)
    admin = cluster.admin
    outcome = moves = None
    if changes.partitions is not None:  # first, that nothing is changed if this cannot be
        await admin.add_partitions(name, changes.partitions, validate_only=True)
    if changes.settings or changes.unset:
        outcome = await admin.alter_topic_settings(
            name, set=changes.settings, unset=changes.unset, validate_only=validate_only
        )
    if changes.partitions is not None:
        outcome = await admin.add_partitions(name, changes.partitions, validate_only=validate_only)
    if changes.replication_factor is not None:
        moves = await resize(cluster, name, changes.replication_factor, validate_only=validate_only)
    return outcome, moves
