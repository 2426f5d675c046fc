"""Which elections an entry of the log holds, and whether each may have cost records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from streamkeep_common.image import ClusterImage, PartitionImage
from streamkeep_coordinator.metadata.members import is_usable
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord


class ElectionKind(Enum):
    """The values are those of a metric's label."""

    CLEAN = "clean"  # the new leader was in sync
    ELIGIBLE = "eligible"  # it was not, but has all that was acknowledged
    UNCLEAN = "unclean"  # neither: acknowledged records may be lost


class Election(NamedTuple):
    """Another leader for a partition."""

    partition: str
    leader: int
    kind: ElectionKind


class _Led(NamedTuple):
    topic_id: bytes
    partition: int
    leader: int


def elections(
    before: ClusterImage, after: ClusterImage, records: Iterable[MetadataRecord]
) -> Iterator[Election]:
    """Those of one entry, which leads from one image to the other. To lose the leader is none."""
    for topic_id, number, leader in _led(records):
        known = before.partition(topic_id, number)
        if known is not None and leader and leader != known.leader:
            name = f"{before.topics[topic_id].name}-{number}"
            yield Election(name, leader, _kind(known, leader, after))


def _kind(known: PartitionImage, leader: int, after: ClusterImage) -> ElectionKind:
    """A leader that can lead still hands over to who has come into sync, as when a move is complete."""
    if leader in known.isr or (known.leader and is_usable(after, known, known.leader)):
        return ElectionKind.CLEAN
    return ElectionKind.ELIGIBLE if leader in known.elr else ElectionKind.UNCLEAN


def _led(records: Iterable[MetadataRecord]) -> Iterator[_Led]:
    for record in records:
        if record.HasField("partition_changes"):
            changes = record.partition_changes
            leaders = [standing.leader for standing in changes.standings]
            for number, at in zip(changes.partitions, changes.standing_indexes, strict=True):
                yield _Led(changes.topic_id, number, leaders[at])
        elif record.HasField("partition_change"):
            change = record.partition_change
            yield _Led(change.topic_id, change.partition, change.leader)
        elif record.HasField("partition_placement"):
            placed = record.partition_placement.partition
            yield _Led(placed.topic_id, placed.partition, placed.leader)
