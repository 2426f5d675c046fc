"""What `consume` does: reads a topic's partitions between two places and writes the records as bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from streamctl.failures import CommandError, ExitCode
from streamctl.records.format_string import Formatter
from streamctl.records.offset_grammar import Kind, OffsetRange, Position, needs_time, resolve
from streamkeep import ConsumedBatch, Consumer, TopicPartition
from streamkeep.errors import OffsetOutOfRangeError

Offsets = Mapping[TopicPartition, int]
Write = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Spans:
    """Offsets to read: from `starts` on, up to `stops` (not included) or, if None, for ever."""

    starts: Offsets
    stops: Offsets | None


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
    return Spans(await offsets_of(wanted.start), stops)


def _refuse_offset_out_of_range(position: Position, log_starts: Offsets, ends: Offsets) -> None:
    """Also where reading would end before it asked the broker for that offset."""
    for topic_partition, log_start in log_starts.items():
        if position.kind is Kind.OFFSET and not log_start <= position.value <= ends[topic_partition]:
            number, end = topic_partition.partition, ends[topic_partition]
            raise OffsetOutOfRangeError(
                f"partition {number} has offsets {log_start} up to {end}, and not {position.value}"
            )


async def copy_records(
    consumer: Consumer,
    spans: Spans,
    form: Formatter,
    write: Write,
    *,
    count: int | None,
    stall_timeout_s: float,
) -> int:
    """Write the records of all spans, at most `count`, in the order of arrival. Returns how many.

    Spans that end must make progress: CommandError (UNAVAILABLE) when nothing comes for `stall_timeout_s`.
    """
    await consumer.assign(spans.starts)
    timeout_s = None if spans.stops is None else stall_timeout_s
    written = 0
    async with aclosing(consumer.batches(until=spans.stops)) as batches:
        while written != count and (batch := await _next(batches, timeout_s)) is not None:
            if count is not None and written + len(batch) > count:
                batch = _first(batch, count - written)
            write(form(batch))
            written += len(batch)
    return written


async def _next(batches: AsyncIterator[ConsumedBatch], timeout_s: float | None) -> ConsumedBatch | None:
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


def _first(batch: ConsumedBatch, count: int) -> ConsumedBatch:
    return batch.split(batch.offsets[count])[0]
