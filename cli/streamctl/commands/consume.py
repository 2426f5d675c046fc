"""`streamctl consume`: records out, as bytes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from streamctl.completion import topics as complete_topic
from streamctl.failures import CommandError, ExitCode
from streamctl.invocation import Invocation, cluster_options, pass_invocation
from streamctl.output import note

if TYPE_CHECKING:
    from streamctl.records.format_string import Formatter
    from streamctl.records.offset_grammar import OffsetRange
    from streamkeep import TopicPartition
    from streamkeep_proto.v1.coordinator_pb2 import TopicInfo

DEFAULT_FORMAT = "%s\\n"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the options ask for. No partitions: all."""

    wanted: OffsetRange
    partitions: tuple[int, ...]
    form: Formatter
    until_end: bool
    count: int | None
    rack: str


@click.command()
@click.argument("topic", shell_complete=complete_topic)
@click.option("--from-beginning", is_flag=True, help="The same as -O start.")
@click.option(
    "-O",
    "--offset",
    metavar="WHERE",
    help="start, end, N, -N (the last N of each partition), @TIME, @-1h, or a range A:B.  [default: end]",
)
@click.option(
    "-e", "--exit-at-end", is_flag=True, help="Stop at what is the end now, instead of waiting for more."
)
@click.option("-c", "--count", type=click.IntRange(min=0), help="Stop after so many records.")
@click.option(
    "-p",
    "--partition",
    "partitions",
    type=click.IntRange(min=0),
    multiple=True,
    help="Only this one; may repeat.",
)
@click.option(
    "-f",
    "--format",
    "form",
    metavar="FORMAT",
    help="%s value, %k key, %t topic, %p partition, %o offset, %T timestamp in ms, %h headers, %S and %K"
    " sizes; \\n \\t \\xHH.  [default: %s\\n]",
)
@click.option(
    "--rack",
    default="",
    metavar="NAME",
    help="Where this runs: partitions with an in-sync replica on a broker of that rack are read from there."
    "  [default: from their leaders]",
)
@cluster_options
@pass_invocation
def consume(
    invocation: Invocation,
    /,
    *,
    topic: str,
    from_beginning: bool,
    offset: str | None,
    exit_at_end: bool,
    count: int | None,
    partitions: tuple[int, ...],
    form: str | None,
    rack: str,
) -> None:
    """Print the records of a topic.

    Starts at the end and waits for more unless told otherwise. Records of one partition come in order. A
    time is ms since 1970, 2013-01-31, 2013-01-31T08:00:00Z, or before now: @-90s, @-1h30m. A range stops by
    itself. With -o json each record is a line of JSON; with -o yaml each is an item of a list.

    \b
    streamctl consume flights --from-beginning --exit-at-end -f '%p %o %k %s\\n'
    streamctl consume flights -O @-1h:end
    streamctl consume flights -O -10 -e -p 0
    """
    from streamctl.interrupts import run

    if from_beginning and offset is not None:
        raise click.UsageError("--from-beginning and --offset both say where to start: give one")
    if invocation.is_data and form is not None:
        raise click.UsageError(f"-f and -o {invocation.output} both say how records look: give one")
    wanted = _parse_offset(offset or ("start" if from_beginning else "end"))
    reading = Reading(wanted, partitions, _formatter(invocation, form), exit_at_end, count, rack)
    run(_consume(invocation, topic, reading), for_reader=True)


def _parse_offset(text: str) -> OffsetRange:
    from streamctl.records.offset_grammar import OffsetSyntaxError, parse_offsets
    from streamkeep_common.seams.real.clock import RealClock

    try:
        return parse_offsets(text, now_ms=RealClock().now_ms())
    except OffsetSyntaxError as error:
        raise click.BadParameter(str(error), param_hint="--offset") from error


def _formatter(invocation: Invocation, form: str | None) -> Formatter:
    from streamctl.records.format_string import FormatError, compile_format
    from streamctl.records.json_text import json_lines, yaml_items

    if invocation.is_data:
        return yaml_items if invocation.output == "yaml" else json_lines
    try:
        return compile_format(DEFAULT_FORMAT if form is None else form)
    except FormatError as error:
        raise click.BadParameter(str(error), param_hint="--format") from error


async def _consume(invocation: Invocation, topic: str, reading: Reading) -> None:
    from streamctl.cluster import connected
    from streamctl.consuming import copy_records, find_spans
    from streamkeep import Consumer

    async with connected(invocation) as cluster:
        topic_partitions = _places(await cluster.topic(topic), reading.partitions)
        async with Consumer(cluster.client, rack=reading.rack) as consumer:
            spans = await find_spans(consumer, topic_partitions, reading.wanted, until_end=reading.until_end)
            written = await copy_records(
                consumer,
                spans,
                reading.form,
                _write,
                count=reading.count,
                stall_timeout_s=invocation.stall_timeout_s,
            )
    note(f"{written} records")


def _places(topic: TopicInfo, partitions: tuple[int, ...]) -> list[TopicPartition]:
    from streamkeep import TopicPartition

    known = [partition.partition for partition in topic.partitions]
    for number in partitions:
        if number not in known:
            raise CommandError(
                f"topic '{topic.name}' has no partition {number}: it has 0 to {len(known) - 1}",
                ExitCode.NOT_FOUND,
            )
    return [TopicPartition(topic.name, number) for number in dict.fromkeys(partitions or known)]


def _write(data: bytes) -> None:
    """Straight to stdout: what was read is seen at once, and a closed pipe is noticed."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
