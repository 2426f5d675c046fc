"""`streamctl consume`: records out, as bytes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from streamctl.completion import topics as complete_topic
from streamctl.failures import CommandError, ExitCode
from streamctl.invocation import Invocation, cluster_options, pass_invocation
from streamctl.output import note

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamctl.consuming import Offsets, Sink, Spans
    from streamctl.records.format_string import Formatter
    from streamctl.records.offset_grammar import OffsetRange
    from streamctl.topic_choice import TopicChoice
    from streamkeep import Consumer

DEFAULT_FORMAT = "%s\\n"
DEFAULT_START = "start"
"""As kcat and rpk have it: who looks into a topic wants to see what is there, and a pipe to copy it all."""
FRAMINGS = ("length", "keyed-length")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the options ask for."""

    choice: TopicChoice
    wanted: OffsetRange
    until_end: bool
    rack: str


def _expression(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> re.Pattern[bytes] | None:
    try:
        return None if value is None else re.compile(os.fsencode(value))
    except re.error as error:
        raise click.BadParameter(f"'{value}' is not a regular expression: {error}") from error


HELP = """\
Print the records of a topic.

Starts at the beginning, and then waits for more; -O end prints only what comes from now on, -e stops at
what is the end now. Records of one partition come in order. A time is ms since 1970, 2013-01-31,
2013-01-31T08:00:00Z, or before now: @-90s, @-1h30m; it is UTC unless it says otherwise. A range stops by
itself. With -o json each record is a line of JSON; with -o yaml each is an item of a list. What cannot be
text is exact there, too: `produce --json` makes the same records of it.

Several may be named; one with *, ? or [...] is a pattern, as in a shell. While it waits it also reads
partitions that are added, and new topics that a pattern matches, from their beginning.

\b
streamctl consume flights --exit-at-end -f '%p %o %k %s\\n'
streamctl consume flights -O end
streamctl consume flights --since 1h
streamctl consume flights -O @-1h:end
streamctl consume flights -O -10 -e -p 0
streamctl consume 'log-*' -O -10
streamctl consume -r '^(in|out)$' --until @-1h
streamctl consume flights -e --grep-key '^UA$'
"""


@click.command(help=HELP)
@click.argument("topics", metavar="TOPIC...", nargs=-1, required=True, shell_complete=complete_topic)
@click.option(
    "-r",
    "--regex",
    "is_regex",
    is_flag=True,
    help="Each TOPIC is a regular expression, which may match anywhere in a name.",
)
@click.option("--from-beginning", is_flag=True, help="The same as -O start, which is the default.")
@click.option(
    "-O",
    "--offset",
    metavar="WHERE",
    help="start, end, N, -N (the last N of each partition), @TIME, @-1h, or a range A:B.  [default: start]",
)
@click.option(
    "--since", metavar="TIME", help="Start at the first record at or after: 1h (ago), 2013-01-31, or ms."
)
@click.option(
    "--until",
    metavar="WHERE",
    help="Stop before this place of each partition, said as with -O; times also as 1h, 2013-01-31.",
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
    "--grep",
    "value_pattern",
    callback=_expression,
    metavar="REGEX",
    help="Only records with this somewhere in the value: a regular expression of Python, on bytes.",
)
@click.option("--grep-key", "key_pattern", callback=_expression, metavar="REGEX", help="The same in the key.")
@click.option(
    "--grep-header",
    "header_pattern",
    callback=_expression,
    metavar="REGEX",
    help="The same in a header, as name=value.",
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
    "--null", metavar="TEXT", help="What stands for a null key or value in a line.  [default: nothing]"
)
@click.option(
    "--framing",
    type=click.Choice(FRAMINGS),
    help="Instead: four bytes before each value, its length (big-endian, -1 for null); or the same before"
    " each key and each value. `produce --framing` reads it.",
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
    topics: tuple[str, ...],
    is_regex: bool,
    from_beginning: bool,
    offset: str | None,
    since: str | None,
    until: str | None,
    exit_at_end: bool,
    count: int | None,
    partitions: tuple[int, ...],
    value_pattern: re.Pattern[bytes] | None,
    key_pattern: re.Pattern[bytes] | None,
    header_pattern: re.Pattern[bytes] | None,
    form: str | None,
    null: str | None,
    framing: str | None,
    rack: str,
) -> None:
    """See HELP."""
    from streamctl.consuming import Sink
    from streamctl.interrupts import run
    from streamctl.raw_output import write_out
    from streamctl.records.matching import Matcher
    from streamctl.topic_choice import TopicChoice

    _refuse_two({"--from-beginning": from_beginning, "--offset": offset, "--since": since}, "where to start")
    choice = TopicChoice(topics, is_regex=is_regex, partitions=partitions)
    wanted = _parse_offsets(DEFAULT_START if offset is None else offset, since, until)
    reading = Reading(choice, wanted, exit_at_end, rack)
    matcher = Matcher(key_pattern, value_pattern, header_pattern)
    sink = Sink(_formatter(invocation, form, null, framing), write_out, count=count, matcher=matcher)
    try:
        run(_consume(invocation, reading, sink), for_reader=True)
    except KeyboardInterrupt:
        note(sink.summary())
        raise
    note(sink.summary())


def _refuse_two(options: Mapping[str, object], what: str) -> None:
    """UsageError if more than one of them was given."""
    said = [name for name, value in options.items() if value not in (None, False)]
    if len(said) > 1:
        raise click.UsageError(f"{' and '.join(said)} both say {what}: give one")


def _parse_offsets(offset: str, since: str | None, until: str | None) -> OffsetRange:
    from streamctl.records import offset_grammar as grammar
    from streamkeep_common.seams.real.clock import RealClock

    try:
        start = offset if since is None else grammar.since(since)
        return grammar.parse_span(start, until, now_ms=RealClock().now_ms())
    except grammar.OffsetSyntaxError as error:
        options = ["--offset" if since is None else "--since", *([] if until is None else ["--until"])]
        raise click.BadParameter(str(error), param_hint=", ".join(options)) from error


def _formatter(invocation: Invocation, form: str | None, null: str | None, framing: str | None) -> Formatter:
    from streamctl.records.format_string import FormatError, compile_format
    from streamctl.records.framed import framed
    from streamctl.records.json_text import json_lines, yaml_items

    forms = {f"-o {invocation.output}": invocation.is_data, "-f": form, "--framing": framing}
    _refuse_two(forms, "how records look")
    if null is not None and (framing is not None or invocation.is_data):
        raise click.UsageError("--null goes with lines; JSON, YAML and frames have a null of their own")
    if framing is not None:
        return framed(keyed=framing == "keyed-length")
    if invocation.is_data:
        return yaml_items if invocation.output == "yaml" else json_lines
    try:
        return compile_format(DEFAULT_FORMAT if form is None else form, null=os.fsencode(null or ""))
    except FormatError as error:
        raise click.BadParameter(str(error), param_hint="--format") from error


async def _consume(invocation: Invocation, reading: Reading, sink: Sink) -> None:
    from streamctl.cluster import connected
    from streamctl.consuming import find_spans, read_spans
    from streamkeep import Consumer

    async with connected(invocation) as cluster, Consumer(cluster.client, rack=reading.rack) as consumer:
        counts = await _partition_counts(cluster)
        reading.choice.check(counts)
        places = reading.choice.places(counts)
        spans = await find_spans(consumer, places, reading.wanted, until_end=reading.until_end)
        if spans.stops is None:
            _tell_what_is_waited_for(reading.choice, spans)
            await _follow(cluster, consumer, reading.choice, spans.starts, sink)
        elif places:
            timeout_s = invocation.stall_timeout_s
            await read_spans(consumer, spans.starts, spans.stops, sink, stall_timeout_s=timeout_s)
        else:
            raise CommandError(f"no topic matches {reading.choice.text}", ExitCode.NOT_FOUND)


async def _partition_counts(cluster: Cluster) -> dict[str, int]:
    return {topic.name: topic.partitions for topic in await cluster.admin.list_topics()}


async def _follow(
    cluster: Cluster, consumer: Consumer, choice: TopicChoice, starts: Offsets, sink: Sink
) -> None:
    from streamctl.following import Watch, follow

    watch = Watch(
        consumer,
        choice,
        look=lambda: _partition_counts(cluster),
        refresh=cluster.client.metadata.refresh,
        known=starts,
    )
    await follow(consumer, starts, sink, watch)


def _tell_what_is_waited_for(choice: TopicChoice, spans: Spans) -> None:
    """To who sees nothing come, and might wonder."""
    if not spans.starts:
        note(f"no topic matches {choice.text} yet: waiting for one")
    elif spans.are_empty:
        note("waiting for new records")
