"""Replicas of the small cluster damaged on purpose, and how it shows."""

from __future__ import annotations

from pathlib import Path

from tests.unit.broker.cluster import Cluster, Node

HEADER_BYTE, PAYLOAD_BYTE = 20, 130


def segment(node: Node) -> Path:
    """The first file of its log."""
    directory = node.partition.log.path
    return directory / next(name for name in node.disk.list_directory(directory) if name.endswith(".log"))


async def three_batches(cluster: Cluster) -> None:
    for value in (b"a", b"b", b"c"):
        await cluster.produce(value)


async def leader_whose_damage_is_unheard(cluster: Cluster) -> Node:
    """Its report is on its way for as long as the coordinator answers none."""
    await cluster.start()
    await three_batches(cluster)
    leader = cluster.leader
    leader.disk.flip_bit(segment(leader), PAYLOAD_BYTE, 3)
    cluster.coordinator.answers_reports.clear()
    leader.partition.on_damaged(leader.partition)
    return leader


def put_aside(node: Node, suffix: str) -> list[str]:
    return [name for name in node.logs() if name.endswith(suffix)]


async def whole(cluster: Cluster, node: Node) -> None:
    """Return when the node has all again and counts."""
    await cluster.in_sync()
    await cluster.until(lambda: node.partition.log.flushed_end_offset == len(cluster.values))
    assert not node.partition.log.defects
