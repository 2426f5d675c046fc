"""What `consume` does: reads partitions between two places and writes the records as bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from streamctl.failures import CommandError, ExitCode
from streamctl.interrupts import hearing_signals
from streamctl.output import counted
from streamctl.records.format_string import Formatter
from streamctl.records.matching import Matcher, pick
from streamctl.records.offset_grammar import Kind, OffsetRange, Position, needs_time, resolve
from streamkeep import ConsumedBatch, Consumer, TopicPartition
from streamkeep.errors import OffsetOutOfRangeError

Offsets = Mapping[TopicPartition, int]
Write = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Spans:
    """Offsets to read: from `starts` on, up to `stops` (not included) or, if None, for ever. `are_empty`:
    nothing lies behind the starts now.
    """

    starts: Offsets
    stops: Offsets | None
    are_empty: bool


class Sink:
    """Where batches end: those of their records that are wanted are written, at most `count`.

    `looked_at` and `written` count, also when reading ends half-way.
    """

    def __init__(
        self, form: Formatter, write: Write, *, count: int | None = None, matcher: Matcher | None = None
    ) -> None:
        self._form = form
        self._write = write
        self._count = count
        self._matcher = matcher or Matcher()
        self.looked_at = 0
        self.written = 0

    @property
    def is_full(self) -> bool:
        return self.written == self._count

    async def take(self, batch: ConsumedBatch) -> None:
        places = self._places(batch)
        if self._count is not None:
            places = places[: self._count - self.written]
        wanted = pick(batch, places)
        self.looked_at += len(batch)
        if wanted.values:
            await self._write(self._form(wanted))
            self.written += len(wanted.values)

    def _places(self, batch: ConsumedBatch) -> Sequence[int]:
        if self._matcher.takes_all:
            return range(len(batch))
        with hearing_signals():  # an expression such as (a+)+ may look for hours
            return self._matcher.places(batch)

    def summary(self) -> str:
        if self._matcher.takes_all:
            return counted(self.written, "record")
        return f"{self.written} of {counted(self.looked_at, 'record')} match"


async def find_spans(
    consumer: Consumer, topic_partitions: Sequence[TopicPartition], wanted: OffsetRange, *, until_end: bool
) -> Spans:
    """What `wanted` means in each partition now; `until_end` stops at what is the end now."""
    log_starts = await consumer.beginning_offsets(topic_partitions)
    ends = await consumer.end_offsets(topic_partitions)
    _refuse_offset_out_of_range(wanted.start, log_starts, ends)

    async def offsets_of(position: Position) -> Offsets:
        times = dict.fromkeys(topic_partitions, position.value) if needs_time(position) else {}
        found = await consumer.offsets_for_times(times)
        return {
            topic_partition: resolve(
                position,
                log_start=log_starts[topic_partition],
                end=ends[topic_partition],
                time_offset=found.get(topic_partition),
            )
            for topic_partition in topic_partitions
        }

    stops = ends if until_end else None
    if wanted.stop is not None:
        asked = await offsets_of(wanted.stop)
        stops = {
            topic_partition: min(asked[topic_partition], ends[topic_partition])
            if until_end
            else asked[topic_partition]
            for topic_partition in topic_partitions
        }
    starts = await offsets_of(wanted.start)
    return Spans(starts, stops, all(starts[each] >= ends[each] for each in topic_partitions))


def _refuse_offset_out_of_range(position: Position, log_starts: Offsets, ends: Offsets) -> None:
    """Also where reading would end before it asked the broker for that offset."""
    for topic_partition, log_start in log_starts.items():
        if position.kind is Kind.OFFSET and not log_start <= position.value <= ends[topic_partition]:
            topic, number = topic_partition
            raise OffsetOutOfRangeError(
                f"topic '{topic}': partition {number} has offsets {log_start} up to {ends[topic_partition]},"
                f" and not {position.value}"
            )


async def read_spans(
    consumer: Consumer, starts: Offsets, stops: Offsets, sink: Sink, *, stall_timeout_s: float
) -> None:
    """Give the records between these offsets to the sink, in the order of arrival, until it is full.

    CommandError (UNAVAILABLE) when nothing comes for `stall_timeout_s`.
    """
    await consumer.assign(starts)
    async with aclosing(consumer.batches(until=stops)) as batches:
        while not sink.is_full and (batch := await _next(batches, stall_timeout_s)) is not None:
            await sink.take(batch)


async def _next(batches: AsyncIterator[ConsumedBatch], timeout_s: float) -> ConsumedBatch | None:
    """None at the end."""
    try:
        async with asyncio.timeout(timeout_s):
            return await anext(batches, None)
    except TimeoutError:
        raise CommandError(
            f"no record came for {timeout_s:g} s although there are more: `streamctl topic describe`"
            " shows whether every partition has a leader; --timeout allows more time",
            ExitCode.UNAVAILABLE,
        ) from None
