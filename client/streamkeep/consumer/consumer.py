"""The consumer that users hold: assigned partitions, positions, and records or batches to iterate over."""

from __future__ import annotations

import random
import warnings
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from operator import length_hint
from types import TracebackType
from typing import Literal, Self

from streamkeep.client import Client
from streamkeep.consumer.fetcher import Fetcher, Reset
from streamkeep.consumer.partition_reader import UNKNOWN, PartitionReader
from streamkeep.consumer.records import ConsumedBatch, Record
from streamkeep.offsets import AtTime, OffsetQuestion, list_offsets
from streamkeep.topic_partition import AnyTopicPartition, TopicPartition
from streamkeep_common.errors import ClosedError, StreamkeepError, UnknownPartitionError
from streamkeep_common.limits import MIB
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import Network
from streamkeep_proto.v1.broker_pb2 import ListedOffset

Start = Literal["earliest", "latest"] | int | AtTime
"""Where to begin: the log start, the end, an offset, or a time (the end, if no record is as late)."""

MAX_WINDOW_BYTES = 8 * MIB
"""What one partition may have fetched ahead, however few are assigned."""


class Consumer:
    """Reads assigned partitions, each in order, from a position that is the caller's own.

    `bootstrap` names coordinators ("host:port", several with commas or as a list), or is a `Client` to share.

    reset               what to do if a position is outside the log, because retention has passed it or data
                        was lost: "error" (default) raises OffsetOutOfRangeError, "earliest" and "latest" go
                        on from there, and say so in the log.
    fetch_buffer_bytes  what may be fetched ahead, shared evenly by the assigned partitions; each may overdraw
                        its share by one batch (default 32 MiB).
    rack                where this program runs; a partition with an in-sync replica there is read from that
                        one instead of its leader (KIP-392). Default: not said, read from leaders.

    Only what is committed is read. Both checksums of every batch are verified before any of it is handed out.

    Iterate with `async for record in consumer`, or faster with `async for batch in consumer.batches()`; both
    go on where the other left off. An error about one partition is raised each time its turn comes, until a
    `seek`; the others go on between. Use it from one task, with `async with`, or `close` it.
    """

    def __init__(
        self,
        bootstrap: str | Sequence[str] | Client,
        *,
        reset: Reset = "error",
        fetch_buffer_bytes: int = 32 * MIB,
        rack: str = "",
        network: Network | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._fetcher: Fetcher | None = None
        self._closed = False
        if reset not in ("error", "earliest", "latest"):
            raise ValueError(f"reset is error, earliest or latest, not '{reset}'")
        if fetch_buffer_bytes < 1:
            raise ValueError("fetch_buffer_bytes has to be positive")
        self._owns_client = not isinstance(bootstrap, Client)
        self._client = (
            bootstrap
            if isinstance(bootstrap, Client)
            else Client(bootstrap, network=network, clock=clock, rng=rng)
        )
        self._reset = reset
        self._fetch_buffer_bytes = fetch_buffer_bytes
        self._rack = rack
        self._batch: ConsumedBatch | None = None
        """The batch whose records are being handed out one by one, by this iterator."""
        self._records: Iterator[Record] = iter(())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if self._fetcher is not None and not self._closed:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, stacklevel=2, source=self)

    async def close(self) -> None:
        """Let go of everything. A waiting iteration ends with ClosedError."""
        if self._closed:
            return
        self._closed = True
        self._records = iter(())
        if self._fetcher is not None:
            await self._fetcher.close()
        if self._owns_client:
            await self._client.close()

    # --- what is read, and from where ---

    async def partitions_for(self, topic: str) -> list[TopicPartition]:
        """All partitions of a topic, for `assign`. Raises UnknownTopicError."""
        view = await self._client.metadata.topic(topic, timeout_s=self._client.request_timeout_s)
        return [TopicPartition(topic, number) for number in range(len(view.partitions))]

    async def assign(
        self,
        topic_partitions: Iterable[tuple[str, int]] | Mapping[AnyTopicPartition, Start],
        *,
        start: Start = "earliest",
    ) -> None:
        """Read these partitions and no others: each from its own start, or all from `start`.

        When it returns, every start has become an offset: from "latest", all that is produced from then on is
        read. Raises UnknownTopicError, UnknownPartitionError, or why a start could not be found.
        """
        self._check_open()
        starts = (
            topic_partitions
            if isinstance(topic_partitions, Mapping)
            else dict.fromkeys(topic_partitions, start)
        )
        named = {TopicPartition(*topic_partition): begin for topic_partition, begin in starts.items()}
        window_bytes = min(MAX_WINDOW_BYTES, max(1, self._fetch_buffer_bytes // max(1, len(named))))
        offsets = await self._find(named)
        topic_ids = {topic_partition: await self._topic_id(topic_partition) for topic_partition in named}
        self._check_open()
        readers = [
            PartitionReader(topic_partition, topic_ids[topic_partition], offset, window_bytes)
            for topic_partition, offset in offsets.items()
        ]
        self._drop_records()
        if self._fetcher is None:
            self._fetcher = Fetcher(self._client, self._reset, self._rack)
        self._fetcher.assign(readers)

    def assignment(self) -> list[TopicPartition]:
        """The assigned partitions, in the order given."""
        return list(self._running().readers)

    async def seek(self, topic_partition: tuple[str, int], start: Start) -> None:
        """Read a partition on from there; what was fetched of it is dropped. Takes away its error, if any."""
        reader = self._reader(topic_partition)
        offset = (await self._find({reader.topic_partition: start}))[reader.topic_partition]
        if self._batch is not None and self._batch.topic_partition == reader.topic_partition:
            self._drop_records()
        self._running().seek(reader, offset)

    def position(self, topic_partition: tuple[str, int]) -> int:
        """Offset of the next record to be handed out."""
        reader = self._reader(topic_partition)
        if self._batch is not None and self._batch.topic_partition == reader.topic_partition:
            left = length_hint(self._records)
            if left:
                return self._batch.offsets[len(self._batch) - left]
        return reader.position

    def lag(self, topic_partition: tuple[str, int]) -> int | None:
        """Records between the position and the end of what may be read; None until the broker has said."""
        high_watermark = self.high_watermark(topic_partition)
        return None if high_watermark is None else max(0, high_watermark - self.position(topic_partition))

    def high_watermark(self, topic_partition: tuple[str, int]) -> int | None:
        """First offset that may not be read yet, as last heard; None until the broker has said."""
        high_watermark = self._reader(topic_partition).high_watermark
        return None if high_watermark == UNKNOWN else high_watermark

    def pause(self, *topic_partitions: tuple[str, int]) -> None:
        """Hand out nothing more of these partitions until `resume`. At most their share is fetched ahead."""
        for topic_partition in topic_partitions:
            reader = self._reader(topic_partition)
            if self._batch is not None and self._batch.topic_partition == reader.topic_partition:
                self._put_back_records()
            reader.paused = True

    def resume(self, *topic_partitions: tuple[str, int]) -> None:
        """Hand out again what `pause` held back."""
        for topic_partition in topic_partitions:
            reader = self._reader(topic_partition)
            reader.paused = False
            self._running().offer(reader)

    # --- offsets ---

    async def beginning_offsets(
        self, topic_partitions: Iterable[tuple[str, int]]
    ) -> dict[TopicPartition, int]:
        """The first offset of each partition that can still be read."""
        return await self._ask(
            {TopicPartition(*topic_partition): "earliest" for topic_partition in topic_partitions}
        )

    async def end_offsets(self, topic_partitions: Iterable[tuple[str, int]]) -> dict[TopicPartition, int]:
        """The high watermark of each partition: the offset of the next record to become readable."""
        return await self._ask(
            {TopicPartition(*topic_partition): "latest" for topic_partition in topic_partitions}
        )

    async def offsets_for_times(
        self, times_ms: Mapping[AnyTopicPartition, int]
    ) -> dict[TopicPartition, int | None]:
        """For each partition the first offset with that timestamp or a later one; None if there is none."""
        found = await self._ask(
            {TopicPartition(*topic_partition): AtTime(time) for topic_partition, time in times_ms.items()}
        )
        return {topic_partition: None if offset < 0 else offset for topic_partition, offset in found.items()}

    # --- reading ---

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Record:
        for record in self._records:
            return record
        while True:
            self._batch = await self._next_batch()
            self._records = iter(self._batch.records())
            for record in self._records:
                return record

    async def batches(
        self, *, until: Mapping[AnyTopicPartition, int] | None = None
    ) -> AsyncGenerator[ConsumedBatch, None]:
        """Batches of records as columns, for ever, or up to the offsets `until` (not included).

        With `until` it ends as soon as the position of each partition named there has reached its offset, as
        `end_offsets` gives them; nothing at or behind them is handed out, and nothing of partitions that are
        not named. Close it (`contextlib.aclosing`) before reading on in another way, if it has not ended.
        """
        if until is None:
            while True:
                yield await self._next_batch()
        ends = {TopicPartition(*topic_partition): offset for topic_partition, offset in until.items()}
        fetcher = self._running()
        self._put_back_records()
        try:
            while self._hold_reached(ends):
                self._put_back_records()
                batch = fetcher.take()
                if batch is not None:
                    batch = self._up_to(ends[batch.topic_partition], batch)
                    if len(batch):
                        yield batch
                elif self._hold_reached(ends):
                    await fetcher.wait()
        finally:
            for reader in fetcher.readers.values():
                reader.held = False
                fetcher.offer(reader)

    async def records(self, *, until: Mapping[AnyTopicPartition, int]) -> AsyncGenerator[Record, None]:
        """Records up to the offsets `until`, as `batches` does it."""
        async with aclosing(self.batches(until=until)) as batches:
            async for self._batch in batches:
                self._records = iter(self._batch.records())
                while (record := next(self._records, None)) is not None:
                    yield record

    # --- inside ---

    async def _next_batch(self) -> ConsumedBatch:
        """What comes next, the rest of a batch that was begun record by record first."""
        self._put_back_records()
        fetcher = self._running()
        while (batch := fetcher.take()) is None:
            await fetcher.wait()
        return batch

    def _hold_reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Hand out only what lies before these ends. False if there is nothing left before any."""
        fetcher = self._running()
        for topic_partition, reader in fetcher.readers.items():
            reader.held = topic_partition not in ends or reader.position >= ends[topic_partition]
            fetcher.offer(reader)
        return not all(self._reader(topic_partition).held for topic_partition in ends)

    def _up_to(self, end: int, batch: ConsumedBatch) -> ConsumedBatch:
        """The records before an end; the others are put back."""
        if batch.next_offset <= end:
            return batch
        wanted, rest = batch.split(end)
        self._reader(batch.topic_partition).put_back(rest)
        return wanted

    def _put_back_records(self) -> None:
        """Records made but not handed out become part of a batch again."""
        left = length_hint(self._records)
        if self._batch is not None and left:
            rest = self._batch.split(self._batch.offsets[len(self._batch) - left])[1]
            self._reader(self._batch.topic_partition).put_back(rest)
            self._running().offer(self._reader(self._batch.topic_partition))
        self._drop_records()

    def _drop_records(self) -> None:
        self._batch = None
        self._records = iter(())

    async def _find(self, starts: Mapping[TopicPartition, Start]) -> dict[TopicPartition, int]:
        """Each start as an offset."""
        for start in starts.values():
            if isinstance(start, int) and start < 0:
                raise ValueError(f"an offset is never negative, but {start} is")
        found = await self._ask(
            {
                topic_partition: start
                for topic_partition, start in starts.items()
                if not isinstance(start, int)
            }
        )
        too_late: dict[TopicPartition, OffsetQuestion] = {
            p: "latest" for p, offset in found.items() if offset < 0
        }
        found.update(await self._ask(too_late))
        return {
            topic_partition: start if isinstance(start, int) else found[topic_partition]
            for topic_partition, start in starts.items()
        }

    async def _ask(self, questions: Mapping[TopicPartition, OffsetQuestion]) -> dict[TopicPartition, int]:
        self._check_open()
        answers = await list_offsets(self._client, questions, timeout_s=self._client.request_timeout_s)
        return {topic_partition: _offset(answer) for topic_partition, answer in answers.items()}

    async def _topic_id(self, topic_partition: TopicPartition) -> bytes:
        """The id of the partition's topic. Raises UnknownTopicError or UnknownPartitionError."""
        topic = await self._client.metadata.topic(
            topic_partition.topic, timeout_s=self._client.request_timeout_s
        )
        topic.partition(topic_partition.partition)
        return topic.topic_id

    def _reader(self, topic_partition: tuple[str, int]) -> PartitionReader:
        reader = self._running().readers.get(TopicPartition(*topic_partition))
        if reader is None:
            raise UnknownPartitionError(
                f"{TopicPartition(*topic_partition)} is not assigned to this consumer"
            )
        return reader

    def _running(self) -> Fetcher:
        self._check_open()
        if self._fetcher is None:
            raise RuntimeError("assign partitions first")
        return self._fetcher

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the consumer is closed")


def _offset(answer: ListedOffset | StreamkeepError) -> int:
    if isinstance(answer, StreamkeepError):
        raise answer
    return answer.offset
