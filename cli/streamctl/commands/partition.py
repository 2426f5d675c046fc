"""`streamctl partition`: where replicas are, who leads, and whether replicas are the same."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from streamctl.commands import partition_list, partition_moves
from streamctl.completion import partitions as complete_partition
from streamctl.completion import topics as complete_topic
from streamctl.contexts.danger import confirm_change
from streamctl.groups import NounGroup
from streamctl.invocation import Invocation, cluster_options, dry_run_option, pass_invocation, yes_option
from streamctl.partitions import parse_partition

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamkeep.admin.replicas import VerifiedPartition
    from streamkeep_proto.v1.coordinator_pb2 import ElectionOutcome


@click.group(cls=NounGroup)
def partition() -> None:
    """Show partitions, move replicas, elect leaders, and compare replicas."""


for _command in (partition_list.list_, *partition_moves.COMMANDS):
    partition.add_command(_command)


# --- leaders ---


@partition.command()
@click.argument("names", metavar="[TOPIC | TOPIC:PARTITION]...", nargs=-1, shell_complete=complete_partition)
@click.option(
    "--unclean", is_flag=True, help="Give partitions without a leader any live replica. LOSES RECORDS."
)
@yes_option
@dry_run_option
@cluster_options
@pass_invocation
def elect(
    invocation: Invocation, /, *, names: tuple[str, ...], unclean: bool, yes: bool, dry_run: bool
) -> None:
    """Make the first replica of each partition its leader, where it is in sync; of all if none is named.

    \b
    streamctl partition elect                         of all partitions
    streamctl partition elect flights:0 --unclean     a leader at any price

    With --unclean a live replica becomes leader that may lack acknowledged records: those are lost for good.
    It is for partitions whose in-sync replicas never come back.
    """
    from streamctl.cluster import ask
    from streamctl.elections import show_elections

    if unclean and not names:
        raise click.UsageError("name the partitions that may lose records")
    if unclean and not yes and not dry_run and not sys.stdin.isatty():
        raise click.UsageError("--unclean may lose records: say --yes")
    if unclean and not dry_run:
        confirm_change(
            invocation, f"Elect leaders for {', '.join(names)} that may lack acknowledged records?", yes=yes
        )

    async def work(cluster: Cluster) -> list[ElectionOutcome]:
        wanted = [each for name in names for each in await _partitions_named(cluster, name)]
        return await cluster.admin.elect_leaders(wanted, unclean=unclean, validate_only=dry_run)

    show_elections(invocation, ask(invocation, work), is_dry=dry_run)


async def _partitions_named(cluster: Cluster, name: str) -> list[tuple[str, int]]:
    """One partition, or all of a topic."""
    if ":" in name:
        return [parse_partition(name)]
    return [(name, each.partition) for each in (await cluster.topic(name)).partitions]


# --- what replicas hold ---


@partition.command()
@click.argument("topics", metavar="[TOPIC]...", nargs=-1, shell_complete=complete_topic)
@cluster_options
@pass_invocation
def verify(invocation: Invocation, /, *, topics: tuple[str, ...]) -> None:
    """Compare the replicas of each partition, byte by byte; of all topics if none is named.

    From the greatest log start up to the least high watermark every replica has to hold the same bytes; their
    SHA-256 tells. Exit code 1 if any differ, 4 if a broker could not be asked. Writing goes on meanwhile.

    A replica that is found damaged is copied anew, and may be identical in the end: it is named nevertheless.
    """
    from streamctl.cluster import ask
    from streamctl.verified import show_verified

    async def work(cluster: Cluster) -> list[VerifiedPartition]:
        for name in topics:
            await cluster.topic(name)
        return await cluster.admin.verify_replicas(topics)

    show_verified(invocation, ask(invocation, work))
