"""`streamctl produce`: lines in, records out."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamctl.completion import topics as complete_topic
from streamctl.invocation import Invocation, cluster_options, named_values, pass_invocation
from streamctl.output import emit, note

if TYPE_CHECKING:
    from streamctl.producing import RecordForm
    from streamkeep.producer.options import Compression

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def _header(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, bytes]:
    return {name: os.fsencode(value) for name, value in named_values(values).items()}


def _separator(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if not value and value is not None:
        raise click.BadParameter("it is empty; leave -K out for records without a key")
    return value


@click.command()
@click.argument("topic", shell_complete=complete_topic)
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read lines from here instead of stdin.",
)
@click.option(
    "-K",
    "--key-separator",
    callback=_separator,
    metavar="TEXT",
    help="What stands between key and value in a line.",
)
@click.option("-p", "--partition", type=click.IntRange(min=0), help="Send everything to this partition.")
@click.option(
    "-H",
    "--header",
    "headers",
    multiple=True,
    callback=_header,
    metavar="NAME=VALUE",
    help="Added to each record.",
)
@click.option(
    "-z",
    "--compression",
    type=click.Choice(CODECS),
    default="none",
    show_default=True,
    help="Of whole batches.",
)
@cluster_options
@pass_invocation
def produce(
    invocation: Invocation,
    /,
    *,
    topic: str,
    file: Path | None,
    key_separator: str | None,
    partition: int | None,
    headers: dict[str, bytes],
    compression: Compression,
) -> None:
    """Send lines to a topic.

    Each line of stdin is the value of one record, without its newline. With -K the part before the separator
    is the key; equal keys go to one partition. Says on stderr how many records were acknowledged, which
    means that they are on disk.

    \b
    seq 100000 | streamctl produce numbers
    printf 'UA:517\\nAA:542\\n' | streamctl produce -K : flights
    """
    from streamctl.interrupts import run
    from streamctl.producing import RecordForm

    form = RecordForm(
        separator=None if key_separator is None else os.fsencode(key_separator),
        partition=partition,
        headers=headers or None,
    )
    with nullcontext(sys.stdin.buffer) if file is None else file.open("rb") as source:
        acknowledged = run(_produce(invocation, topic, form, source.fileno(), compression))
    if invocation.is_data:
        emit(invocation, {"topic": topic, "acknowledged": acknowledged})


async def _produce(
    invocation: Invocation, topic: str, form: RecordForm, descriptor: int, compression: Compression
) -> int:
    from streamctl.cluster import connected
    from streamctl.producing import LEAVE_TIMEOUT_MS, LineSender
    from streamkeep import Producer

    async with connected(invocation) as cluster:
        await cluster.topic(topic)
        timeout_ms = round(invocation.stall_timeout_s * 1_000)
        producer = Producer(cluster.client, compression=compression, delivery_timeout_ms=timeout_ms)
        sender = LineSender(producer, topic, form)
        await producer.start()
        try:
            await sender.send_all(descriptor)
        finally:
            await producer.close(timeout_ms=LEAVE_TIMEOUT_MS)
            note(f"{sender.acknowledged} records acknowledged")
        return sender.acknowledged
