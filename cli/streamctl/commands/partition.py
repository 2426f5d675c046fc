"""`streamctl partition`: where replicas are, who leads, and whether replicas are the same."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamctl.completion import partitions as complete_partition
from streamctl.completion import topics as complete_topic
from streamctl.groups import NounGroup
from streamctl.invocation import Invocation, cluster_options, dry_run_option, pass_invocation, yes_option
from streamctl.output import confirm, counted, emit, note
from streamctl.partitions import Target, by_partition, parse_partition, parse_target, read_plan

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamctl.planned import PlannedMove
    from streamkeep.admin.replicas import VerifiedPartition
    from streamkeep_proto.v1.coordinator_pb2 import ElectionOutcome, ReassignmentOutcome


@click.group(cls=NounGroup)
def partition() -> None:
    """Move replicas, elect leaders, and compare replicas."""


# --- moves ---


def _targets(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[tuple[str, int], Target]:
    return by_partition(parse_target(value) for value in values)


@partition.command()
@click.option(
    "-p",
    "--partition",
    "named",
    multiple=True,
    callback=_targets,
    shell_complete=complete_partition,
    metavar="TOPIC:PARTITION=BROKER,...",
    help="Where its replicas shall be, the preferred leader first; may repeat. BROKER@DIRECTORY names a log"
    " directory, too, by path or id.",
)
@click.option(
    "--plan",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file in the format of kafka-reassign-partitions.sh.",
)
@click.option(
    "--throttle",
    metavar="RATE",
    help="Set catch_up_rate_bytes of these topics first, as in 10MiB: a limit for each partition. It stays"
    " until it is unset.",
)
@click.option(
    "--wait",
    is_flag=True,
    help="Return when all is copied; fails when nothing is copied for --timeout (30 s).",
)
@dry_run_option
@cluster_options
@pass_invocation
def reassign(
    invocation: Invocation,
    /,
    *,
    named: Mapping[tuple[str, int], Target],
    plan: Path | None,
    throttle: str | None,
    wait: bool,
    dry_run: bool,
) -> None:
    """Give partitions other replicas. New ones are copied first; old ones go when the new ones are in sync.

    \b
    streamctl partition reassign -p flights:0=1,2,3 --dry-run    what would be copied
    streamctl partition reassign -p flights:0=1,2,3 -p flights:1=2,3,4 --wait
    streamctl partition reassign --plan moves.json --throttle 10MiB

    The same replicas in another order make another one the preferred leader, and copy nothing.
    """
    from streamctl.cluster import ask
    from streamctl.moves import throttle as bound
    from streamctl.moves import until_all_moved
    from streamctl.planned import check_plan, show_plan

    targets = by_partition([*named.items(), *(read_plan(plan) if plan is not None else ())])
    if not targets:
        raise click.UsageError("nothing to move: give --partition or --plan")

    async def work(cluster: Cluster) -> list[PlannedMove]:
        moves = await _reassign(cluster, targets, validate_only=dry_run or throttle is not None)
        if throttle is not None and not dry_run:
            check_plan(moves)
            await bound(cluster, sorted({topic for topic, _ in targets}), throttle)
            moves = await _reassign(cluster, targets, validate_only=False)
        show_plan(invocation, moves, is_dry=dry_run)
        if wait and not dry_run:
            await until_all_moved(invocation, cluster, moves)
        return moves

    check_plan(ask(invocation, work))


async def _reassign(
    cluster: Cluster, targets: Mapping[tuple[str, int], Target], *, validate_only: bool
) -> list[PlannedMove]:
    from streamctl.directories import directory_ids
    from streamctl.planned import planned

    outcomes = await cluster.admin.reassign_partitions(
        {name: target.replicas for name, target in targets.items()},
        directory_ids=await directory_ids(cluster, targets),
        validate_only=validate_only,
    )
    return await planned(cluster, outcomes)


@partition.command()
@click.argument("topics", metavar="[TOPIC]...", nargs=-1, shell_complete=complete_topic)
@cluster_options
@pass_invocation
def reassignments(invocation: Invocation, /, *, topics: tuple[str, ...]) -> None:
    """Show the moves that are under way, and how much of each is copied."""
    from streamctl.cluster import ask
    from streamctl.moves import copying_fields, copying_table, moves_under_way

    async def work(cluster: Cluster) -> None:
        for name in topics:
            await cluster.topic(name)
        moves = await moves_under_way(cluster, topics)
        emit(invocation, [copying_fields(each) for each in moves], copying_table(moves))

    ask(invocation, work)


@partition.command()
@click.argument("names", metavar="[TOPIC:PARTITION]...", nargs=-1, shell_complete=complete_partition)
@click.option("--all", "everything", is_flag=True, help="Every move that is under way.")
@dry_run_option
@cluster_options
@pass_invocation
def cancel(invocation: Invocation, /, *, names: tuple[str, ...], everything: bool, dry_run: bool) -> None:
    """Stop moves, and go back to the replicas from before.

    \b
    streamctl partition cancel flights:0
    streamctl partition cancel --all --dry-run
    """
    from streamctl.cluster import ask
    from streamctl.planned import all_outcomes, check_plan, note_if_cut, plan_table, planned

    if bool(names) == everything:
        raise click.UsageError("name partitions, or give --all")
    wanted = [parse_partition(name) for name in names]

    async def work(cluster: Cluster) -> list[PlannedMove]:
        async def stop() -> list[ReassignmentOutcome]:
            return await cluster.admin.cancel_reassignments(wanted, validate_only=dry_run)

        outcomes = await (all_outcomes(stop, validate_only=dry_run) if everything else stop())
        return await planned(cluster, outcomes)

    moves = ask(invocation, work)
    if moves or invocation.is_data:
        emit(invocation, [move.fields() for move in moves], plan_table(moves))
    stopped = sum(move.error is None for move in moves)
    note(f"{'Would stop' if dry_run else 'Stopped'} {counted(stopped, 'move')}.")
    if everything and dry_run:
        note_if_cut(moves)
    check_plan(moves)


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
    streamctl partition elect                         every partition back to its preferred leader
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
        confirm(f"Elect leaders for {', '.join(names)} that may lack acknowledged records?", yes=yes)

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
    """
    from streamctl.cluster import ask
    from streamctl.verified import show_verified

    async def work(cluster: Cluster) -> list[VerifiedPartition]:
        for name in topics:
            await cluster.topic(name)
        return await cluster.admin.verify_replicas(topics)

    show_verified(invocation, ask(invocation, work))
