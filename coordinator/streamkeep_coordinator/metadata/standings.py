"""Records that say how partitions stand from now on.

From feature level 2 on the changes of one topic are one record: columns, and each standing once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

from streamkeep_common.image import COMPACT_FEATURE_LEVEL, ClusterImage, PartitionImage, Standing
from streamkeep_common.image.records import to_partition_record
from streamkeep_proto.v1.metadata_pb2 import (
    MetadataRecord,
    PartitionChangeRecord,
    PartitionChangesRecord,
    PartitionPlacementRecord,
    PartitionStanding,
)


class Change(NamedTuple):
    """A partition as it is, and how it is to stand. `anew`: the leader epoch rises in any case."""

    partition: PartitionImage
    standing: Standing
    anew: bool = False


def standing_records(
    image: ClusterImage, topic_id: bytes, changes: Sequence[Change]
) -> Iterator[MetadataRecord]:
    """Changes to partitions of one topic, by number. Each raises its partition epoch, one to the same too."""
    if not changes:
        return
    if image.feature_level >= COMPACT_FEATURE_LEVEL:
        yield MetadataRecord(partition_changes=_columns(topic_id, changes))
    else:
        for change in changes:
            yield MetadataRecord(partition_change=_single(change))


class PartitionChanges:
    """Changes to partitions of any topics, each partition at most once, as they come."""

    def __init__(self) -> None:
        self._standings: dict[bytes, dict[int, Change]] = {}
        self._placements: dict[tuple[bytes, int], MetadataRecord] = {}

    def __contains__(self, partition: PartitionImage) -> bool:
        return (
            partition.partition in self._standings.get(partition.topic_id, ())
            or (partition.topic_id, partition.partition) in self._placements
        )

    @property
    def placements(self) -> int:
        """Partitions with other replicas or directories."""
        return len(self._placements)

    def stand(self, change: Change) -> None:
        """How a partition stands from now on; it has no change yet."""
        assert change.partition not in self, "one change a partition"
        self._standings.setdefault(change.partition.topic_id, {})[change.partition.partition] = change

    def place(self, partition: PartitionImage, record: MetadataRecord) -> None:
        """Other replicas or directories of a partition, by a record of its own; it has no change yet."""
        assert partition not in self, "one change a partition"
        self._placements[partition.topic_id, partition.partition] = record

    def records(self, image: ClusterImage) -> list[MetadataRecord]:
        records: list[MetadataRecord] = []
        for topic_id, changes in self._standings.items():
            records += standing_records(image, topic_id, [changes[number] for number in sorted(changes)])
        return records + list(self._placements.values())


def placement_record(partition: PartitionImage) -> MetadataRecord:
    """Where the replicas are and how the partition stands from now on, all of it."""
    record = PartitionPlacementRecord(partition=to_partition_record(partition))
    return MetadataRecord(partition_placement=record)


def _columns(topic_id: bytes, changes: Sequence[Change]) -> PartitionChangesRecord:
    numbers = count()
    indexes: dict[Standing, int] = {}
    for change in changes:
        if change.standing not in indexes:
            indexes[change.standing] = next(numbers)
    return PartitionChangesRecord(
        topic_id=topic_id,
        partitions=[each.partition.partition for each in changes],
        standing_indexes=[indexes[each.standing] for each in changes],
        leader_epochs=[_leader_epoch(each) for each in changes],
        partition_epochs=[each.partition.partition_epoch + 1 for each in changes],
        standings=[PartitionStanding(**standing._asdict()) for standing in indexes],
    )


def _single(change: Change) -> PartitionChangeRecord:
    partition, standing, _ = change
    return PartitionChangeRecord(
        topic_id=partition.topic_id,
        partition=partition.partition,
        isr=standing.isr,
        elr=standing.elr,
        leader=standing.leader,
        leader_epoch=_leader_epoch(change),
        partition_epoch=partition.partition_epoch + 1,
    )


def _leader_epoch(change: Change) -> int:
    """A new one if the leader changes, also to none."""
    partition, standing, anew = change
    return partition.leader_epoch + (anew or standing.leader != partition.leader)
