"""`streamctl produce`: lines, JSON or framed bytes in, records out."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamctl.completion import topics as complete_topic
from streamctl.invocation import Invocation, cluster_options, named_values, pass_invocation
from streamctl.output import counted, emit, note

if TYPE_CHECKING:
    from streamctl.producing import RecordSender
    from streamctl.records.rows import RowsReader
    from streamkeep import Producer
    from streamkeep.producer.options import Compression
    from streamkeep_proto.v1.coordinator_pb2 import TopicInfo

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
TYPED = "each line is a record; Ctrl-D ends"
TYPED_JSON = 'each line is a record, as in {"key": "UA", "value": "EWR-IAH"}; Ctrl-D ends'
"""To who types; pipes and files need no word."""
FRAMINGS = ("lines", "length", "keyed-length")


@dataclass(frozen=True, slots=True)
class Sending:
    """What the options ask for. No topic: each line of JSON has its own."""

    topic: str | None
    key_separator: bytes | None
    is_json: bool
    framing: str
    skip_bad: bool
    partition: int | None
    repartition: bool
    headers: tuple[tuple[str, bytes], ...]
    compression: Compression


def _header(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, bytes], ...]:
    return tuple(
        (name, os.fsencode(value)) for text in values for name, value in named_values([text]).items()
    )


def _separator(_context: click.Context, _parameter: click.Parameter, value: str | None) -> bytes | None:
    if not value and value is not None:
        raise click.BadParameter("it is empty; leave -K out for records without a key")
    return None if value is None else os.fsencode(value)


HELP = """\
Send lines to a topic.

Each line of stdin is the value of one record, without its newline. With -K the part before the separator
is the key; equal keys go to one partition. Says on stderr how many records were acknowledged, which
means that they are on disk.

With --json a line has the fields key, value, headers, partition, timestamp_ms and topic; only the value
must be there, as null for a tombstone. Headers are a list of {"name": "from", "value": "EWR"}. Bytes that
are no text stand in key_base64 and value_base64. Without TOPIC each line goes to its own topic; with TOPIC
that one is not looked at. What a line lacks is as ever: no key, now, a partition by the key.

A record keeps the time that its line says, and a topic deletes records by their own time: a copy needs
partitions and retention_ms like the original's, as `topic create --like` gives it.

A line that is no record ends it: its number is said, and all lines before it are delivered.

\b
seq 100000 | streamctl produce numbers
printf 'UA:517\\nAA:542\\n' | streamctl produce -K : flights
streamctl produce --file day.txt -z zstd log
echo '{"key": "UA", "value": null}' |
  streamctl produce --json flights
streamctl topic create copy --like flights
streamctl consume -e -o json flights |
  streamctl produce --json copy
"""


@click.command(help=HELP)
@click.argument("topic", required=False, shell_complete=complete_topic)
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read from here instead of stdin.",
)
@click.option(
    "-K",
    "--key-separator",
    callback=_separator,
    metavar="TEXT",
    help="What stands between key and value in a line.",
)
@click.option(
    "--json",
    "is_json",
    is_flag=True,
    help="Each line is a record as `consume -o json` writes it, with key, headers, partition and time.",
)
@click.option(
    "--framing",
    type=click.Choice(FRAMINGS),
    default="lines",
    show_default=True,
    help="What tells records apart: newlines; four bytes before each value, its length (big-endian, -1 for"
    " null); or the same before each key and each value.",
)
@click.option(
    "--skip-bad-lines",
    "skip_bad",
    is_flag=True,
    help="Go on where a line is too long or no record, and count it.  [default: stop there]",
)
@click.option(
    "-p",
    "--partition",
    type=click.IntRange(min=0),
    help="Send everything to this partition, whatever lines say.",
)
@click.option(
    "--repartition",
    is_flag=True,
    help="With --json: let the key of each record decide, whatever partition its line says.",
)
@click.option(
    "-H",
    "--header",
    "headers",
    multiple=True,
    callback=_header,
    metavar="NAME=VALUE",
    help="Added to each record; may repeat.",
)
@click.option(
    "-z",
    "--compression",
    type=click.Choice(CODECS),
    metavar="CODEC",
    default="none",
    show_default=True,
    help=f"Of whole batches: {', '.join(CODECS)}.",
)
@cluster_options
@pass_invocation
def produce(
    invocation: Invocation,
    /,
    *,
    topic: str | None,
    file: Path | None,
    key_separator: bytes | None,
    is_json: bool,
    framing: str,
    skip_bad: bool,
    partition: int | None,
    repartition: bool,
    headers: tuple[tuple[str, bytes], ...],
    compression: Compression,
) -> None:
    """See HELP."""
    from streamctl.interrupts import run

    sending = Sending(
        topic, key_separator, is_json, framing, skip_bad, partition, repartition, headers, compression
    )
    _check(sending)
    with nullcontext(sys.stdin.buffer) if file is None else file.open("rb") as source:
        sender = run(_produce(invocation, sending, source.fileno()))
    if invocation.is_data:
        outcome = {"topic": topic, "acknowledged": sender.acknowledged, "skipped": sender.skipped}
        emit(invocation, outcome)


def _check(sending: Sending) -> None:
    """Raises UsageError where options contradict each other."""
    from streamkeep_common.limits import MAX_HEADERS_PER_RECORD

    is_framed = sending.framing != "lines"
    if len(sending.headers) > MAX_HEADERS_PER_RECORD:
        raise click.UsageError(
            f"a record has at most {MAX_HEADERS_PER_RECORD} headers, not {len(sending.headers)}"
        )
    if sending.topic is None and not sending.is_json:
        raise click.UsageError("TOPIC is missing; only with --json can each line name its own")
    if sending.is_json and (is_framed or sending.key_separator is not None):
        raise click.UsageError(
            "with --json the fields of a line are its key and value: leave out -K, --framing"
        )
    if sending.repartition and not sending.is_json:
        raise click.UsageError("--repartition goes with --json: only there do lines say their partition")
    if sending.repartition and sending.partition is not None:
        raise click.UsageError("-p and --repartition both say which partition: give one")
    if is_framed and sending.key_separator is not None:
        raise click.UsageError("-K cuts lines; --framing keyed-length has keys of its own")
    if is_framed and sending.skip_bad:
        raise click.UsageError(
            f"--skip-bad-lines needs lines: behind a bad length, --framing {sending.framing} cannot go on"
        )


async def _produce(invocation: Invocation, sending: Sending, descriptor: int) -> RecordSender:
    from streamctl.cluster import connected
    from streamctl.destination import Destination
    from streamctl.input import size_of
    from streamctl.producing import RecordSender
    from streamctl.progress import bytes_bar
    from streamctl.retention import RetentionWatch
    from streamkeep import Producer
    from streamkeep_common.seams.real.clock import RealClock

    async with connected(invocation) as cluster:
        retention = RetentionWatch(RealClock().now_ms)

        async def find(name: str) -> TopicInfo:
            topic = await cluster.topic(name)
            retention.learn(topic)
            return topic

        destination = Destination(
            find, topic=sending.topic, partition=sending.partition, headers=sending.headers
        )
        if sending.topic is not None:
            destination.check(len((await find(sending.topic)).partitions))
        timeout_ms = round(invocation.stall_timeout_s * 1_000)
        producer = Producer(cluster.client, compression=sending.compression, delivery_timeout_ms=timeout_ms)
        await producer.start()
        if os.isatty(descriptor):
            note(TYPED_JSON if sending.is_json else TYPED)
        with bytes_bar(size_of(descriptor)) as advance:
            sender = RecordSender(
                producer,
                _reader(sending),
                destination,
                skip_bad=sending.skip_bad,
                retention=retention,
                advance=advance,
            )
            await _send_all(sender, producer, descriptor)
        return sender


async def _send_all(sender: RecordSender, producer: Producer[bytes, bytes], descriptor: int) -> None:
    """Whatever ends it, what was sent until then is delivered, and told."""
    import asyncio

    from streamctl.producing import LEAVE_TIMEOUT_MS

    is_cut_short = False
    try:
        await sender.send_all(descriptor)
    except asyncio.CancelledError:
        is_cut_short = True
        raise
    finally:
        await producer.close(timeout_ms=LEAVE_TIMEOUT_MS)
        note(_summary(sender, is_cut_short=is_cut_short))


def _summary(sender: RecordSender, *, is_cut_short: bool) -> str:
    skipped = f", {counted(sender.skipped, 'bad line')} skipped" if sender.skipped else ""
    is_open = is_cut_short and sender.unknown > 0
    unknown = f"; up to {sender.unknown} more may have been written" if is_open else ""
    return f"{counted(sender.acknowledged, 'record')} acknowledged{skipped}{unknown}"


def _reader(sending: Sending) -> RowsReader:
    """For the form of the input that was asked for."""
    from streamctl.records.framed import FramedRows
    from streamctl.records.json_input import JsonRows
    from streamctl.records.lines import LineRows
    from streamkeep_common.limits import MAX_HEADERS_PER_RECORD
    from streamkeep_common.seams.real.clock import RealClock

    room = _record_room(sending)
    if sending.is_json:
        return JsonRows(
            RealClock().now_ms,
            max_record_bytes=room,
            max_headers=MAX_HEADERS_PER_RECORD - len(sending.headers),
            skip_bad=sending.skip_bad,
            repartition=sending.repartition,
        )
    if sending.framing != "lines":
        return FramedRows(keyed=sending.framing == "keyed-length", max_bytes=room)
    return LineRows(separator=sending.key_separator, max_record_bytes=room, skip_bad=sending.skip_bad)


def _record_room(sending: Sending) -> int:
    """What key, value and headers of a record may take, beside those headers that are added to each."""
    from streamkeep.producer.arguments import headers_size, max_record_bytes
    from streamkeep.producer.options import ProducerOptions

    options = ProducerOptions(compression=sending.compression)
    return max_record_bytes(options.codec, options.buffer_bytes) - headers_size(sending.headers)
