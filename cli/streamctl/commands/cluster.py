"""`streamctl cluster`: the cluster as its coordinators see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamctl.groups import NounGroup
from streamctl.invocation import Invocation, cluster_options, pass_invocation
from streamctl.output import Table, emit

if TYPE_CHECKING:
    from streamkeep_proto.v1.coordinator_pb2 import DescribeClusterResponse


@click.group(cls=NounGroup)
def cluster() -> None:
    """Look at coordinators and brokers."""


@cluster.command()
@cluster_options
@pass_invocation
def describe(invocation: Invocation, /) -> None:
    """Show coordinators, brokers and how much the cluster holds."""
    from streamctl.cluster import ask

    found = ask(invocation, lambda cluster: cluster.admin.describe_cluster())
    emit(invocation, _fields(found), *_tables(found))


def _fields(found: DescribeClusterResponse) -> dict[str, object]:
    return {
        "cluster_id": found.cluster_id,
        "metadata_index": found.metadata_index,
        "term": found.term,
        "feature_level": found.feature_level,
        "topics": found.topics,
        "partitions": found.partitions,
        "offline_partitions": found.offline_partitions,
        "coordinators": [
            {"id": c.coordinator_id, "address": c.address, "active": c.active} for c in found.coordinators
        ],
        "brokers": [
            {
                "id": b.broker_id,
                "epoch": b.broker_epoch,
                "address": b.address,
                "rack": b.rack or None,
                "state": "fenced" if b.fenced else "up",
            }
            for b in found.brokers
        ],
    }


def _tables(found: DescribeClusterResponse) -> list[Table]:
    counts = (found.term, found.metadata_index, found.topics, found.partitions, found.offline_partitions)
    coordinators = [
        (c.coordinator_id, c.address, "active" if c.active else "standby") for c in found.coordinators
    ]
    brokers = [
        (b.broker_id, b.address, "fenced" if b.fenced else "up", b.broker_epoch, b.rack or None)
        for b in found.brokers
    ]
    return [
        Table(("CLUSTER", "TERM", "INDEX", "TOPICS", "PARTITIONS", "OFFLINE"), [(found.cluster_id, *counts)]),
        Table(("COORDINATOR", "ADDRESS", "STATE"), coordinators),
        Table(("BROKER", "ADDRESS", "STATE", "EPOCH", "RACK"), brokers),
    ]
