"""A topic's partitions as `topic describe` shows them: who leads, how far they go, what ails them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from streamctl.output import Cell, Table, note
from streamctl.partitions import state_words
from streamkeep import StreamkeepError, TopicPartition

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamkeep_proto.v1.coordinator_pb2 import PartitionInfo, TopicInfo

LogEnds = tuple[int | None, int | None]

_COLUMNS = {
    "partition": "PARTITION",
    "leader": "LEADER",
    "leader_epoch": "EPOCH",
    "replicas": "REPLICAS",
    "isr": "ISR",
    "elr": "ELR",
    "log_start_offset": "LOG START",
    "high_watermark": "HIGH WATERMARK",
    "state": "STATE",
}


async def describe_topic(cluster: Cluster, name: str) -> tuple[TopicInfo, list[dict[str, Cell]]]:
    """The topic, and a dictionary for each partition."""
    topic, ends = await _with_ends(cluster, name)
    required_isr = next(int(s.value) for s in topic.settings if s.name == "min_insync_replicas")
    return topic, [
        _fields(partition, ends.get(partition.partition, (None, None)), required_isr)
        for partition in topic.partitions
    ]


def partitions_table(partitions: Sequence[Mapping[str, Cell]]) -> Table:
    return Table(list(_COLUMNS.values()), [[fields[key] for key in _COLUMNS] for fields in partitions])


async def _with_ends(cluster: Cluster, name: str) -> tuple[TopicInfo, dict[int, LogEnds]]:
    """The topic, and log start and high watermark of each partition that has a leader who says."""
    topic = await cluster.topic(name)
    ends: dict[int, LogEnds] = {}
    topic_partitions = [
        TopicPartition(name, partition.partition) for partition in topic.partitions if partition.leader
    ]
    starts, latest = await asyncio.gather(
        cluster.admin.list_offsets(dict.fromkeys(topic_partitions, "earliest")),
        cluster.admin.list_offsets(dict.fromkeys(topic_partitions, "latest")),
    )
    for topic_partition, start in starts.items():
        end = latest[topic_partition]
        ends[topic_partition.partition] = (
            None if isinstance(start, StreamkeepError) else start.offset,
            None if isinstance(end, StreamkeepError) else end.offset,
        )
        for outcome in (start, end):
            if isinstance(outcome, StreamkeepError):
                note(f"partition {topic_partition.partition}: {outcome.message or outcome}")
                break
    return topic, ends


def _fields(partition: PartitionInfo, ends: LogEnds, required_isr: int) -> dict[str, Cell]:
    log_start_offset, high_watermark = ends
    return {
        "partition": partition.partition,
        "leader": partition.leader or None,
        "leader_epoch": partition.leader_epoch,
        "replicas": list(partition.replicas),
        "isr": list(partition.isr),
        "elr": list(partition.elr),
        "log_start_offset": log_start_offset,
        "high_watermark": high_watermark,
        "adding_replicas": list(partition.adding_replicas),
        "removing_replicas": list(partition.removing_replicas),
        "last_members": list(partition.last_members),
        "state": state_words(partition, required_isr),
    }
