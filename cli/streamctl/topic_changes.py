"""What `topic alter` changes: settings, partitions and replicas of a topic, in the order that risks least."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from streamctl.cluster import Cluster
from streamctl.planned import PlannedMove, resize
from streamctl.units import setting_text
from streamkeep_common.settings import TOPIC_SETTINGS
from streamkeep_proto.v1.coordinator_pb2 import TopicInfo, TopicOutcome


class TopicChanges(NamedTuple):
    """What was asked for; None and nothing = leave it."""

    settings: Mapping[str, str]
    unset: tuple[str, ...]
    partitions: int | None
    replication_factor: int | None

    def __bool__(self) -> bool:
        return any(change for change in self)


class Changed(NamedTuple):
    """What became of settings and partitions, the moves that replicas need (None = not asked for), and what
    differs, as in `retention_ms 7d -> 1d`."""

    outcome: TopicOutcome | None
    moves: list[PlannedMove] | None
    differences: list[str]


async def change_topic(cluster: Cluster, name: str, changes: TopicChanges, *, validate_only: bool) -> Changed:
    before = await cluster.topic(name)
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
    return Changed(outcome, moves, differences(before, changes))


def differences(before: TopicInfo, changes: TopicChanges) -> list[str]:
    """Settings and partitions that are others than before. Names of settings that are not known here (those
    of a newer cluster) are left out."""
    names = sorted({*changes.settings, *changes.unset})
    said = []
    for setting in [TOPIC_SETTINGS[name] for name in names if name in TOPIC_SETTINGS]:
        name = setting.name
        new = setting.canonical(changes.settings[name]) if name in changes.settings else setting.default or ""
        old = next((each.value for each in before.settings if each.name == name), setting.default or "")
        if old != new:
            said.append(f"{name} {setting_text(name, old)} -> {setting_text(name, new)}")
    if changes.partitions is not None and changes.partitions != len(before.partitions):
        said.append(f"partitions {len(before.partitions)} -> {changes.partitions}")
    return said
