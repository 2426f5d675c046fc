"""`streamctl offset`: where partitions begin and end, and where a time is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from streamctl.completion import partitions as complete_partition
from streamctl.groups import NounGroup
from streamctl.invocation import Invocation, list_options, pass_invocation
from streamctl.output import Cell, Table, emit
from streamctl.watch import WatchedCommand, look, watch_option

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamctl.partition_offsets import PartitionOffsets
    from streamctl.records.offset_grammar import Position
    from streamkeep import StreamkeepError, TopicPartition

    Found = Mapping[TopicPartition, PartitionOffsets | StreamkeepError]

partitions_argument = click.argument(
    "names", metavar="[TOPIC|PATTERN|TOPIC:PARTITION]...", nargs=-1, shell_complete=complete_partition
)


def parse_position(text: str, option: str) -> Position:
    """One position of the offset grammar. Raises BadParameter, which says what would be right."""
    from streamctl.records.offset_grammar import OffsetSyntaxError, parse_offsets
    from streamkeep_common.seams.real.clock import RealClock

    try:
        wanted = parse_offsets(text, now_ms=RealClock().now_ms())
    except OffsetSyntaxError as error:
        raise click.BadParameter(str(error), param_hint=option) from error
    if wanted.stop is not None:
        raise click.BadParameter(f"'{text}' is a range: one position is wanted", param_hint=option)
    return wanted.start


@click.group(cls=NounGroup)
def offset() -> None:
    """Show where partitions begin and end."""


@offset.command("list", cls=WatchedCommand)
@partitions_argument
@click.option(
    "--at",
    metavar="@TIME",
    help="Also the first record at or after a time, as in @-1h, @2013-01-31T08:00:00Z, @ms since 1970.",
)
@watch_option
@list_options
@pass_invocation
def list_(
    invocation: Invocation, /, *, names: tuple[str, ...], at: str | None, watch_s: float | None
) -> None:
    """List the first and the next offset of each partition; of all topics if none is named.

    \b
    streamctl offset list flights
    streamctl offset list flights:0 --at @-1h

    EARLIEST is the first offset that can be read, LATEST the offset of the next record to become readable.
    """
    from streamctl.partition_offsets import check_offsets, find_offsets, named_partitions
    from streamctl.records.offset_grammar import Kind

    position = None if at is None else parse_position(at, "--at")
    if position is not None and position.kind is not Kind.TIME:
        raise click.BadParameter(f"'{at}' is no time: it begins with @, as in @-1h", param_hint="--at")

    async def find(cluster: Cluster) -> Found:
        return await find_offsets(cluster, await named_partitions(cluster, names), position)

    def show(found: Found) -> None:
        _show(invocation, found, has_time=at is not None)
        check_offsets(found)

    look(invocation, watch_s, find, show)


def _show(invocation: Invocation, found: Found, *, has_time: bool) -> None:
    data = [_fields(each, offsets) for each, offsets in found.items()]
    columns = ["topic", "partition", "earliest", "latest"]
    columns += ["at_offset", "at_timestamp_ms"] if has_time else []
    columns += ["error"] if any(item["error"] for item in data) else []
    titles = [column.replace("_", " ").upper() for column in columns]
    rows = [[item[column] for column in columns] for item in data]
    names = [f"{topic}:{partition}" for topic, partition in found]
    emit(invocation, data, Table(titles, rows), names=names)


def _fields(each: TopicPartition, offsets: PartitionOffsets | StreamkeepError) -> dict[str, Cell]:
    from streamkeep import StreamkeepError

    known = None if isinstance(offsets, StreamkeepError) else offsets
    return {
        "topic": each.topic,
        "partition": each.partition,
        "earliest": known.earliest if known else None,
        "latest": known.latest if known else None,
        "at_offset": known.at_offset if known else None,
        "at_timestamp_ms": known.at_ms if known else None,
        "error": (offsets.message or str(offsets)) if isinstance(offsets, StreamkeepError) else None,
    }
