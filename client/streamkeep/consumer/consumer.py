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
from streamkeep.topic_partition import Place, TopicPartition
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
        self, places: Iterable[tuple[str, int]] | Mapping[Place, Start], *, start: Start = "earliest"
    ) -> None:
        """Read these partitions and no others: each from its own start, or all from `start`.

        When it returns, every start has become an offset: from "latest", all that is produced from then on is
        read. Raises UnknownTopicError, UnknownPartitionError, or why a start could not be found.
        """
        self._check_open()
        starts = places if isinstance(places, Mapping) else dict.fromkeys(places, start)
        named = {TopicPartition(*place): begin for place, begin in starts.items()}
        window_bytes = min(MAX_WINDOW_BYTES, max(1, self._fetch_buffer_bytes // max(1, len(named))))
        offsets = await self._find(named)
        topic_ids = {place: await self._topic_id(place) for place in named}
        self._check_open()
        readers = [
            PartitionReader(place, topic_ids[place], offset, window_bytes)
            for place, offset in offsets.items()
        ]
        self._drop_records()
        if self._fetcher is None:
            self._fetcher = Fetcher(self._client, self._reset)
        self._fetcher.assign(readers)

    def assignment(self) -> list[TopicPartition]:
        """The assigned partitions, in the order given."""
        return list(self._running().readers)

    async def seek(self, place: tuple[str, int], start: Start) -> None:
        """Read a partition on from there; what was fetched of it is dropped. Takes away its error, if any."""
        reader = self._reader(place)
        offset = (await self._find({reader.place: start}))[reader.place]
        if self._batch is not None and self._batch.place == reader.place:
            self._drop_records()
        self._running().seek(reader, offset)

    def position(self, place: tuple[str, int]) -> int:
        """Offset of the next record to be handed out."""
        reader = self._reader(place)
        if self._batch is not None and self._batch.place == reader.place:
            left = length_hint(self._records)
            if left:
                return self._batch.offsets[len(self._batch) - left]
        return reader.position

    def lag(self, place: tuple[str, int]) -> int | None:
        """Records between the position and the end of what may be read; None until the broker has said."""
        high_watermark = self.high_watermark(place)
        return None if high_watermark is None else max(0, high_watermark - self.position(place))

    def high_watermark(self, place: tuple[str, int]) -> int | None:
        """First offset that may not be read yet, as last heard; None until the broker has said."""
        high_watermark = self._reader(place).high_watermark
        return None if high_watermark == UNKNOWN else high_watermark

    def pause(self, *places: tuple[str, int]) -> None:
        """Hand out nothing more of these partitions until `resume`. At most their share is fetched ahead."""
        for place in places:
            reader = self._reader(place)
            if self._batch is not None and self._batch.place == reader.place:
                self._put_back_records()
            reader.paused = True

    def resume(self, *places: tuple[str, int]) -> None:
        """Hand out again what `pause` held back."""
        for place in places:
            reader = self._reader(place)
            reader.paused = False
            self._running().offer(reader)

    # --- offsets ---

    async def beginning_offsets(self, places: Iterable[tuple[str, int]]) -> dict[TopicPartition, int]:
        """The first offset of each partition that can still be read."""
        return await self._ask({TopicPartition(*place): "earliest" for place in places})

    async def end_offsets(self, places: Iterable[tuple[str, int]]) -> dict[TopicPartition, int]:
        """The high watermark of each partition: the offset of the next record to become readable."""
        return await self._ask({TopicPartition(*place): "latest" for place in places})

    async def offsets_for_times(self, times_ms: Mapping[Place, int]) -> dict[TopicPartition, int | None]:
        """For each partition the first offset with that timestamp or a later one; None if there is none."""
        found = await self._ask({TopicPartition(*place): AtTime(time) for place, time in times_ms.items()})
        return {place: None if offset < 0 else offset for place, offset in found.items()}

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
        self, *, until: Mapping[Place, int] | None = None
    ) -> AsyncGenerator[ConsumedBatch, None]:
        """Batches of records as columns, for ever, or up to the offsets `until` (not included).

        With `until` it ends as soon as the position of each partition named there has reached its offset, as
        `end_offsets` gives them; nothing at or behind them is handed out, and nothing of partitions that are
        not named. Close it (`contextlib.aclosing`) before reading on in another way, if it has not ended.
        """
        if until is None:
            while True:
                yield await self._next_batch()
        ends = {TopicPartition(*place): offset for place, offset in until.items()}
        fetcher = self._running()
        self._put_back_records()
        try:
            while self._hold_reached(ends):
                self._put_back_records()
                batch = fetcher.take()
                if batch is not None:
                    batch = self._up_to(ends[batch.place], batch)
                    if len(batch):
                        yield batch
                elif self._hold_reached(ends):
                    await fetcher.wait()
        finally:
            for reader in fetcher.readers.values():
                reader.held = False
                fetcher.offer(reader)

    async def records(self, *, until: Mapping[Place, int]) -> AsyncGenerator[Record, None]:
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
        for place, reader in fetcher.readers.items():
            reader.held = place not in ends or reader.position >= ends[place]
            fetcher.offer(reader)
        return not all(self._reader(place).held for place in ends)

    def _up_to(self, end: int, batch: ConsumedBatch) -> ConsumedBatch:
        """The records before an end; the others are put back."""
        if batch.next_offset <= end:
            return batch
        wanted, rest = batch.split(end)
        self._reader(batch.place).put_back(rest)
        return wanted

    def _put_back_records(self) -> None:
        """Records made but not handed out become part of a batch again."""
        left = length_hint(self._records)
        if self._batch is not None and left:
            rest = self._batch.split(self._batch.offsets[len(self._batch) - left])[1]
            self._reader(self._batch.place).put_back(rest)
            self._running().offer(self._reader(self._batch.place))
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
            {place: start for place, start in starts.items() if not isinstance(start, int)}
        )
        too_late: dict[TopicPartition, OffsetQuestion] = {
            p: "latest" for p, offset in found.items() if offset < 0
        }
        found.update(await self._ask(too_late))
        return {place: start if isinstance(start, int) else found[place] for place, start in starts.items()}

    async def _ask(self, questions: Mapping[TopicPartition, OffsetQuestion]) -> dict[TopicPartition, int]:
        self._check_open()
        answers = await list_offsets(self._client, questions, timeout_s=self._client.request_timeout_s)
        return {place: _offset(answer) for place, answer in answers.items()}

    async def _topic_id(self, place: TopicPartition) -> bytes:
        """The id of the partition's topic. Raises UnknownTopicError or UnknownPartitionError."""
        topic = await self._client.metadata.topic(place.topic, timeout_s=self._client.request_timeout_s)
        topic.partition(place.partition)
        return topic.topic_id

    def _reader(self, place: tuple[str, int]) -> PartitionReader:
        reader = self._running().readers.get(TopicPartition(*place))
        if reader is None:
            raise UnknownPartitionError(f"{TopicPartition(*place)} is not assigned to this consumer")
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
