"""`streamctl bench`: how fast this cluster is, from here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from streamctl.completion import topics as complete_topic
from streamctl.groups import NounGroup
from streamctl.invocation import Invocation, Seconds, cluster_options, pass_invocation
from streamctl.output import emit, note

if TYPE_CHECKING:
    from streamctl.bench.course import Course
    from streamctl.bench.figures import Measured
    from streamctl.cluster import Cluster
    from streamkeep.producer.options import Compression

F = TypeVar("F", bound=Callable[..., Any])

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
MAX_SIZE_BYTES = 1 << 20
MARK_BYTES = 16
FULL_BUFFER = (
    "These are times in a full buffer, where records wait for those before them; `streamctl bench latency`"
    " times each on its own."
)

_topic = click.argument("topic", metavar="TOPIC", shell_complete=complete_topic)
_records = click.option("--records", type=click.IntRange(1), help="As many, however long it takes.")
_rate = click.option(
    "--rate", type=click.FloatRange(0, min_open=True), metavar="N", help="At most so many records a second."
)
_compression = click.option(
    "-z",
    "--compression",
    type=click.Choice(CODECS),
    default="none",
    show_default=True,
    help="Of whole batches.",
)


def _seconds(default: int) -> Callable[[F], F]:
    return click.option(
        "--seconds", type=Seconds(0.1, 86_400), default=default, show_default=True, help="So long."
    )


def _size(least: int) -> Callable[[F], F]:
    return click.option(
        "--size",
        type=click.IntRange(least, MAX_SIZE_BYTES),
        default=100,
        show_default=True,
        help="Bytes of a record's value.",
    )


@click.group(cls=NounGroup)
def bench() -> None:
    """Measure how fast the cluster is."""


@bench.command()
@_topic
@_seconds(10)
@_records
@_size(1)
@_rate
@_compression
@cluster_options
@pass_invocation
def produce(
    invocation: Invocation,
    /,
    *,
    topic: str,
    seconds: float,
    records: int | None,
    size: int,
    rate: float | None,
    compression: Compression,
) -> None:
    """Write records of random bytes to TOPIC as fast as it takes them; they stay there.

    \b
    streamctl topic create speed
    streamctl bench produce speed --size 1000
    streamctl bench consume speed

    Timed is how long each thousand records took from being sent until all were acknowledged.
    """

    async def work(cluster: Cluster, course: Course) -> None:
        from streamctl.bench import runs

        load = runs.Load(size, seconds, records, rate, compression)
        await runs.produce(cluster, course, topic, load, timeout_ms=round(invocation.stall_timeout_s * 1_000))

    _run(invocation, topic, work)
    if rate is None:
        note(FULL_BUFFER)


@bench.command()
@_topic
@click.option("--records", type=click.IntRange(1), help="The first so many.  [default: all]")
@cluster_options
@pass_invocation
def consume(invocation: Invocation, /, *, topic: str, records: int | None) -> None:
    """Read what TOPIC holds as fast as it comes. Bytes are those of batches as they are stored.

    Timed is how long each batch was waited for.
    """

    async def work(cluster: Cluster, course: Course) -> None:
        from streamctl.bench import runs

        await runs.consume(cluster, course, topic, records)

    _run(invocation, topic, work, writes=False)


@bench.command()
@_topic
@_seconds(10)
@_records
@_size(MARK_BYTES)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    default=100,
    show_default=True,
    metavar="N",
    help="At most so many records a second.",
)
@_compression
@cluster_options
@pass_invocation
def latency(
    invocation: Invocation,
    /,
    *,
    topic: str,
    seconds: float,
    records: int | None,
    size: int,
    rate: float,
    compression: Compression,
) -> None:
    """Write one record after the other to TOPIC, and read them: how long is each on its way?

    Timed is from sending until it is acknowledged, and until it was read here. The next is sent when the one
    before is acknowledged.
    """

    async def work(cluster: Cluster, course: Course) -> None:
        from streamctl.bench import runs

        load = runs.Load(size, seconds, records, rate, compression)
        await runs.latency(cluster, course, topic, load, timeout_ms=round(invocation.stall_timeout_s * 1_000))

    _run(invocation, topic, work)


def _run(
    invocation: Invocation,
    topic: str,
    work: Callable[[Cluster, Course], Awaitable[None]],
    *,
    writes: bool = True,
) -> None:
    """Show what was measured, also if Ctrl-C ends it early."""
    from streamctl.bench.course import Course
    from streamctl.cluster import ask
    from streamkeep_common.seams.real.clock import RealClock

    course = Course(RealClock())

    async def measure(cluster: Cluster) -> None:
        from streamctl.bench.runs import find_setup

        course.setup = setup = await find_setup(cluster, topic)
        note(setup.sentence() if writes else setup.place())
        try:
            await work(cluster, course)
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    try:
        ask(invocation, measure)
    except KeyboardInterrupt:
        if course.has_begun:
            note("Interrupted: this was measured until then.")
            _show(invocation, course.measured())
        raise
    _show(invocation, course.measured())


def _show(invocation: Invocation, measured: Measured) -> None:
    emit(invocation, measured.fields(), *measured.tables())
