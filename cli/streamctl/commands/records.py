"""`streamctl records`: how many there are, and those deleted that nobody needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamctl.commands.offset import parse_position, partitions_argument
from streamctl.completion import partitions as complete_partition
from streamctl.contexts.danger import confirm_change
from streamctl.groups import NounGroup
from streamctl.invocation import (
    Invocation,
    cluster_options,
    dry_run_option,
    pass_invocation,
    yes_option,
)
from streamctl.output import Cell, Table, counted, emit, note

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamctl.record_deletion import Deletion
    from streamkeep import TopicPartition


@click.group(cls=NounGroup)
def records() -> None:
    """Count records, and delete the oldest."""


@records.command()
@partitions_argument
@click.option(
    "--from", "start", default="start", metavar="POSITION", help="From here on: start, N, -N or @TIME."
)
@click.option(
    "--to", "stop", default="end", metavar="POSITION", help="Up to here, not including it: end, N or @TIME."
)
@cluster_options
@pass_invocation
def count(invocation: Invocation, /, *, names: tuple[str, ...], start: str, stop: str) -> None:
    """Count the records of partitions by their offsets, without reading them; of all if none is named.

    \b
    streamctl records count flights
    streamctl records count 'test-*' --from @-1h
    """
    from streamctl.cluster import ask
    from streamctl.partition_offsets import find_offsets, known_offsets, named_partitions

    first, last = parse_position(start, "--from"), parse_position(stop, "--to")

    async def work(cluster: Cluster) -> dict[TopicPartition, tuple[int, int]]:
        wanted = await named_partitions(cluster, names)
        starts = known_offsets(await find_offsets(cluster, wanted, first))
        stops = known_offsets(await find_offsets(cluster, wanted, last))
        return {
            each: (
                max(starts[each].resolve(first), starts[each].earliest),
                min(stops[each].resolve(last), stops[each].latest),
            )
            for each in wanted
        }

    spans = ask(invocation, work)
    data: list[dict[str, Cell]] = [
        {
            "topic": topic,
            "partition": partition,
            "from_offset": begin,
            "to_offset": end,
            "records": max(end - begin, 0),
        }
        for (topic, partition), (begin, end) in spans.items()
    ]
    table = Table(("TOPIC", "PARTITION", "FROM", "TO", "RECORDS"), [tuple(item.values()) for item in data])
    emit(invocation, data, table)
    total = sum(max(end - begin, 0) for begin, end in spans.values())
    note(f"{counted(total, 'record')} in {counted(len(spans), 'partition')}")


@records.command()
@click.argument(
    "names",
    metavar="TOPIC|PATTERN|TOPIC:PARTITION...",
    nargs=-1,
    required=True,
    shell_complete=complete_partition,
)
@click.option(
    "--before",
    required=True,
    metavar="POSITION",
    help="The first to keep: an offset N, @TIME, -N for the last N of each partition, or end for none.",
)
@yes_option
@dry_run_option
@cluster_options
@pass_invocation
def delete(
    invocation: Invocation, /, *, names: tuple[str, ...], before: str, yes: bool, dry_run: bool
) -> None:
    """Delete the oldest records of partitions, for good. Asks first, on a terminal.

    \b
    streamctl records delete flights --before @-7d --dry-run    only say it
    streamctl records delete flights:0 --before 1000
    streamctl records delete test --before end                  all of them

    What is deleted cannot be read any more; the disk gets its space back when whole segments are free.
    """
    from streamctl.cluster import ask
    from streamctl.record_deletion import carry_out, deletions_table, plan_deletions

    position = parse_position(before, "--before")
    planned = ask(invocation, lambda cluster: plan_deletions(cluster, names, position))
    total = sum(each.records for each in planned)
    what = f"{counted(total, 'record')} of {counted(len(planned), 'partition')}"
    done: list[Deletion] = planned
    if not dry_run and total:
        confirm_change(invocation, f"Delete {what}?", yes=yes)
        done = ask(invocation, lambda cluster: carry_out(cluster, planned))
    emit(invocation, [each.fields() for each in done], deletions_table(done))
    deleted = counted(sum(each.records for each in done), "record")
    note(f"{'Would delete' if dry_run else 'Deleted'} {deleted} of {counted(len(done), 'partition')}.")
