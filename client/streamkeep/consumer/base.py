"""What a consumer is apart from reading: its life, the assigned partitions, its positions, and offsets.

`consumer.py` adds how records are handed out, and which types they have.
"""

from __future__ import annotations

import asyncio
import random
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import length_hint
from types import TracebackType
from typing import Any, Self

from streamkeep.client import Client
from streamkeep.consumer.fetcher import Fetcher
from streamkeep.consumer.metrics import ConsumerCounts, ConsumerMetrics
from streamkeep.consumer.options import ConsumerOptions
from streamkeep.consumer.partition_reader import UNKNOWN, PartitionReader
from streamkeep.consumer.records import ConsumedBatch, Record
from streamkeep.consumer.starts import Start, ask_offsets, find_starts
from streamkeep.offsets import AtTime, OffsetQuestion
from streamkeep.topic_partition import (
    AnyTopicPartition,
    TopicPartition,
    topic_partition_of,
    topic_partitions_of,
)
from streamkeep_common.errors import ClosedError, StreamkeepError, UnknownPartitionError
from streamkeep_common.limits import MIB
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import Network

MAX_WINDOW_BYTES = 8 * MIB
"""What one partition may have fetched ahead, however few are assigned."""


class ConsumerBase:
    """See `Consumer`."""

    _fetcher: Fetcher | None = None
    _closed = False
    # Of the class, for whoever was refused for an option and is thrown away.

    def __init__(
        self,
        bootstrap: str | Sequence[str] | Client,
        options: ConsumerOptions,
        *,
        network: Network | None,
        clock: Clock | None,
        rng: random.Random | None,
    ) -> None:
        self._options = options
        self._owns_client = not isinstance(bootstrap, Client)
        self._client = (
            bootstrap
            if isinstance(bootstrap, Client)
            else Client(bootstrap, network=network, clock=clock, rng=rng)
        )
        timeout_ms = options.request_timeout_ms
        self._timeout_s = self._client.request_timeout_s if timeout_ms is None else timeout_ms / 1_000
        self._counts = ConsumerCounts()
        self._ended = asyncio.Event()
        self._batch: ConsumedBatch[Any, Any] | None = None
        """The batch whose records are being handed out one by one, by this iterator."""
        self._records: Iterator[Record[Any, Any]] = iter(())

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
        """Let go of everything. A waiting iteration ends with ClosedError. Who closes it meanwhile waits for
        the same end."""
        if self._closed:
            await self._ended.wait()
            return
        self._closed = True
        self._drop_records()
        try:
            if self._fetcher is not None:
                await self._fetcher.close()
        finally:
            try:
                if self._owns_client:
                    await self._client.close()
            finally:
                self._ended.set()

    # --- what is read, and from where ---

    async def partitions_for(self, topic: str) -> list[TopicPartition]:
        """All partitions of a topic, for `assign`. Raises UnknownTopicError."""
        self._check_open()
        view = await self._client.metadata.topic(topic, timeout_s=self._timeout_s)
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
        named = (
            {topic_partition_of(each): begin for each, begin in topic_partitions.items()}
            if isinstance(topic_partitions, Mapping)
            else dict.fromkeys(topic_partitions_of(topic_partitions), start)
        )
        window_bytes = min(MAX_WINDOW_BYTES, max(1, self._options.fetch_buffer_bytes // max(1, len(named))))
        offsets = await self._find(named)
        topic_ids = await self._topic_ids(named)
        self._check_open()
        readers = [
            PartitionReader(topic_partition, topic_ids[topic_partition], offset, window_bytes)
            for topic_partition, offset in offsets.items()
        ]
        self._drop_records()
        if self._fetcher is None:
            self._fetcher = Fetcher(self._client, self._options, self._counts)
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
        return await self._ask(dict.fromkeys(topic_partitions_of(topic_partitions), "earliest"))

    async def end_offsets(self, topic_partitions: Iterable[tuple[str, int]]) -> dict[TopicPartition, int]:
        """The high watermark of each partition: the offset of the next record to become readable."""
        return await self._ask(dict.fromkeys(topic_partitions_of(topic_partitions), "latest"))

    async def offsets_for_times(
        self, times_ms: Mapping[AnyTopicPartition, int]
    ) -> dict[TopicPartition, int | None]:
        """For each partition the first offset with that timestamp or a later one; None if there is none."""
        found = await self._ask(
            {topic_partition_of(topic_partition): AtTime(time) for topic_partition, time in times_ms.items()}
        )
        return {topic_partition: None if offset < 0 else offset for topic_partition, offset in found.items()}

    # --- figures ---

    def metrics(self) -> ConsumerMetrics:
        """What was counted so far, and how full the buffer is. Cheap enough to be called every second."""
        readers = {} if self._closed or self._fetcher is None else self._fetcher.readers
        return ConsumerMetrics(
            records=self._counts.records - length_hint(self._records),
            bytes=self._counts.bytes,
            batches=self._counts.batches,
            records_undecodable=self._counts.records_undecodable,
            lag={topic_partition: self.lag(topic_partition) for topic_partition in readers},
            fetch_buffer_used_bytes=sum(reader.buffered_bytes for reader in readers.values()),
            fetch_buffer_bytes=self._options.fetch_buffer_bytes,
        )

    # --- inside ---

    async def _find(self, starts: Mapping[TopicPartition, Start]) -> dict[TopicPartition, int]:
        """Each start as an offset."""
        self._check_open()
        return await find_starts(self._client, starts, timeout_s=self._timeout_s)

    async def _ask(self, questions: Mapping[TopicPartition, OffsetQuestion]) -> dict[TopicPartition, int]:
        self._check_open()
        return await ask_offsets(self._client, questions, timeout_s=self._timeout_s)

    def _put_back_records(self) -> None:
        """Records made but not handed out become part of a batch again."""
        left, batch = length_hint(self._records), self._batch
        self._batch, self._records = None, iter(())
        if batch is not None and left:
            self._put_back(batch.split(batch.offsets[len(batch) - left])[1])

    def _put_back(self, batch: ConsumedBatch[Any, Any]) -> None:
        """What was taken but not handed out is the next to be taken of its partition."""
        self._running().put_back(self._reader(batch.topic_partition), batch)

    def _drop_records(self) -> None:
        """Records made but not handed out are wanted no more."""
        self._counts.dropped(length_hint(self._records))
        self._batch, self._records = None, iter(())

    async def _topic_ids(self, topic_partitions: Iterable[TopicPartition]) -> dict[TopicPartition, bytes]:
        """The id of each partition's topic. Raises UnknownTopicError or UnknownPartitionError."""
        named = list(topic_partitions)
        topics = await self._client.metadata.topics((each.topic for each in named), timeout_s=self._timeout_s)
        topic_ids = {}
        for topic_partition in named:
            topic = topics[topic_partition.topic]
            if isinstance(topic, StreamkeepError):
                raise topic
            topic.partition(topic_partition.partition)
            topic_ids[topic_partition] = topic.topic_id
        return topic_ids

    def _reader(self, topic_partition: tuple[str, int]) -> PartitionReader:
        named = topic_partition_of(topic_partition)
        reader = self._running().readers.get(named)
        if reader is None:
            raise UnknownPartitionError(f"{named} is not assigned to this consumer")
        return reader

    def _running(self) -> Fetcher:
        self._check_open()
        if self._fetcher is None:
            raise RuntimeError("assign partitions first")
        return self._fetcher

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the consumer is closed")
