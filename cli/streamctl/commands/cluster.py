"""`streamctl cluster`: the cluster as its coordinators see it, its birth, and its feature level."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from streamctl.commands import cluster_health
from streamctl.groups import NounGroup
from streamctl.invocation import Invocation, cluster_options, dry_run_option, pass_invocation
from streamctl.output import Table, counted, emit, note
from streamctl.watch import WatchedCommand, look, watch_option

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamkeep_proto.v1.coordinator_pb2 import DescribeClusterResponse, UpgradeFeaturesResponse
    from streamkeep_proto.v1.raft_pb2 import DescribeQuorumResponse


@click.group(cls=NounGroup)
def cluster() -> None:
    """Look at coordinators and brokers; make a cluster, or upgrade it."""


for _command in cluster_health.COMMANDS:
    cluster.add_command(_command)


@cluster.command(cls=WatchedCommand)
@watch_option
@cluster_options
@pass_invocation
def describe(invocation: Invocation, /, *, watch_s: float | None) -> None:
    """Show coordinators, brokers and how much the cluster holds.

    Without a quorum it shows what the coordinator that answers knows, and says so.
    """
    look(invocation, watch_s, _described, lambda described: _show(invocation, *described))


def _show(invocation: Invocation, found: DescribeClusterResponse, quorum: DescribeQuorumResponse) -> None:
    from streamctl.quorum import staleness

    emit(invocation, _fields(found, quorum), *_tables(found, quorum))
    if found.stale or quorum.stale:
        note(staleness(quorum))


async def _described(cluster: Cluster) -> tuple[DescribeClusterResponse, DescribeQuorumResponse]:
    import asyncio

    return await asyncio.gather(cluster.admin.describe_cluster(), cluster.quorum())


def _fields(found: DescribeClusterResponse, quorum: DescribeQuorumResponse) -> dict[str, object]:
    from streamctl.quorum import member_fields

    return {
        "cluster_id": found.cluster_id,
        "cluster_epoch": found.cluster_epoch,
        "metadata_index": found.metadata_index,
        "term": found.term,
        "stale": found.stale or quorum.stale,
        "feature_level": found.feature_level,
        "supported_feature_level": found.supported_feature_level,
        "topics": found.topics,
        "partitions": found.partitions,
        "offline_partitions": found.offline_partitions,
        "coordinators": [
            {
                **member_fields(member),
                "voter": member.voter,
                "active": member.coordinator_id == quorum.active_id,
            }
            for member in quorum.members
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


def _tables(found: DescribeClusterResponse, quorum: DescribeQuorumResponse) -> list[Table]:
    from streamctl.quorum import members_table

    whole = (found.cluster_id, found.cluster_epoch, found.term, found.metadata_index, _feature_levels(found))
    counts = (found.topics, found.partitions, found.offline_partitions)
    brokers = [
        (b.broker_id, b.address, "fenced" if b.fenced else "up", b.broker_epoch, b.rack or None)
        for b in found.brokers
    ]
    return [
        Table(("CLUSTER", "EPOCH", "TERM", "INDEX", "FEATURES"), [whole]),
        Table(("TOPICS", "PARTITIONS", "OFFLINE"), [counts]),
        members_table(quorum.members),
        Table(("BROKER", "ADDRESS", "STATE", "EPOCH", "RACK"), brokers),
    ]


def _feature_levels(found: DescribeClusterResponse) -> str:
    """The level in use, and that of `cluster upgrade` if it is higher."""
    if found.supported_feature_level <= found.feature_level:
        return f"level {found.feature_level}"
    return f"level {found.feature_level}, can be {found.supported_feature_level}"


@cluster.command()
@click.argument("members", metavar="ID@HOST:PORT...", nargs=-1, required=True)
@cluster_options
@pass_invocation
def init(invocation: Invocation, /, *, members: tuple[str, ...]) -> None:
    """Make a new cluster out of coordinators that run with empty data directories.

    Name all of them: they are its first voters. None may belong to a cluster. The first that answers is
    asked, or that of --bootstrap.
    """
    from streamctl.cluster import ask

    first = _members(members)
    if not invocation.bootstrap:
        invocation = replace(invocation, bootstrap=",".join(address for _, address in first))
    made = ask(invocation, lambda cluster: cluster.admin.initialize_cluster(first))
    note(f"Cluster {made.cluster_id} begins, with {counted(len(first), 'coordinator')}.")
    if invocation.is_data:
        voters = [{"id": number, "address": address} for number, address in first]
        emit(invocation, {"cluster_id": made.cluster_id, "voters": voters})


def _members(texts: tuple[str, ...]) -> list[tuple[int, str]]:
    from streamkeep_common.settings.types import MemberList

    try:
        members = MemberList().parse(",".join(texts))
    except ValueError:
        members = ()
    if len(members) != len(texts) or not all(address for _, address in members):
        raise click.UsageError("name 1 to 7 coordinators as ID@HOST:PORT, each id once")
    return list(members)


@cluster.command()
@click.option(
    "--level", type=click.IntRange(1), help="Up to this one.  [default: what every process supports]"
)
@dry_run_option
@cluster_options
@pass_invocation
def upgrade(invocation: Invocation, /, *, level: int | None, dry_run: bool) -> None:
    """Raise the feature level, once every process runs the new version.

    From then on the cluster may write what the version before cannot read: there is no way back.
    """
    from streamctl.cluster import ask

    upgraded = ask(
        invocation, lambda cluster: cluster.admin.upgrade_features(level=level or 0, validate_only=dry_run)
    )
    note(_upgraded(upgraded, is_dry=dry_run))
    if invocation.is_data:
        emit(invocation, {"previous_level": upgraded.previous_level, "level": upgraded.level})


def _upgraded(answer: UpgradeFeaturesResponse, *, is_dry: bool) -> str:
    if answer.level == answer.previous_level:
        return f"The cluster works at feature level {answer.level} already."
    done = "Would raise" if is_dry else "Raised"
    return f"{done} the feature level from {answer.previous_level} to {answer.level}."
