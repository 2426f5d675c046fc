"""`streamctl partition reassign|reassignments|cancel`: replicas that go elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamctl.completion import partitions as complete_partition
from streamctl.completion import topics as complete_topic
from streamctl.invocation import Invocation, cluster_options, dry_run_option, list_options, pass_invocation
from streamctl.output import counted, emit, note
from streamctl.partitions import Target, by_partition, parse_partition, parse_target, read_plan
from streamctl.watch import WatchedCommand, look, watch_option

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamctl.moves import Copying
    from streamctl.planned import PlannedMove
    from streamkeep_proto.v1.coordinator_pb2 import ReassignmentOutcome


def _targets(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[tuple[str, int], Target]:
    return by_partition(parse_target(value) for value in values)


@click.command()
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
    streamctl partition reassign -p flights:0=1,2,3 --dry-run    only say it
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


@click.command(cls=WatchedCommand)
@click.argument("topics", metavar="[TOPIC]...", nargs=-1, shell_complete=complete_topic)
@watch_option
@list_options
@pass_invocation
def reassignments(invocation: Invocation, /, *, topics: tuple[str, ...], watch_s: float | None) -> None:
    """Show the moves that are under way, and how much of each is copied."""
    from streamctl.moves import copying_fields, copying_table, moves_under_way

    async def find(cluster: Cluster) -> list[Copying]:
        for name in topics:
            await cluster.topic(name)
        return await moves_under_way(cluster, topics)

    def show(moves: list[Copying]) -> None:
        data = [copying_fields(each) for each in moves]
        names = ["{}:{}".format(*each.move.topic_partition) for each in moves]
        emit(invocation, data, copying_table(moves), names=names)

    look(invocation, watch_s, find, show)


@click.command()
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


COMMANDS = (reassign, reassignments, cancel)
