"""The consumer that users hold: records or batches to iterate over, of the types its serializers give."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Generic, Self, Unpack, overload

from streamkeep.client import Client
from streamkeep.consumer.base import ConsumerBase
from streamkeep.consumer.decoding import BatchDecoder
from streamkeep.consumer.interceptors import ConsumerInterceptor, intercept
from streamkeep.consumer.options import FETCH_BUFFER_BYTES, ConsumerArguments, ConsumerOptions, Reset
from streamkeep.consumer.records import ConsumedBatch, Record
from streamkeep.serializers import BYTES, K, Serializer, V
from streamkeep.topic_partition import AnyTopicPartition, TopicPartition, topic_partition_of
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import Network

_NEAR_RECORDS = 256
"""So many records behind one that cannot be read are kept apart from the rest of its batch: if they cannot be
read either, stepping over each costs the same however large the batch is."""


class Consumer(ConsumerBase, Generic[K, V]):
    """Reads assigned partitions, each in order, from a position that is the caller's own.

    `bootstrap` names coordinators ("host:port", several with commas or as a list), or is a `Client` to share.

    key_serializer, value_serializer
                        what makes keys and values of bytes, see `streamkeep.serializers`; None stays None.
                        Default: bytes as they are, at no cost.
    interceptors        `ConsumerInterceptor`s, which see every batch before it is handed out.
    reset               what to do if a position is outside the log, because retention has passed it or data
                        was lost: "error" (default) raises OffsetOutOfRangeError, "earliest" and "latest" go
                        on from there, and say so in the log.
    fetch_buffer_bytes  what may be fetched ahead, shared evenly by the assigned partitions; each may overdraw
                        its share by one batch (default 32 MiB).
    rack                where this program runs; a partition with an in-sync replica there is read from that
                        one instead of its leader (KIP-392). Default: not said, read from leaders.
    request_timeout_ms  how long `partitions_for`, `assign`, `seek` and questions about offsets may take
                        (default: as long as the client's requests, 30000).

    Only what is committed is read. Both checksums of every batch are verified before any of it is handed out.

    Iterate with `async for record in consumer`, or faster with `async for batch in consumer.batches()`; both
    go on where the other left off. An error about one partition is raised each time its turn comes, until a
    `seek`; the others go on between. Only RecordDecodeError, for a key or value that its serializer cannot
    read, is raised once: the records before it were handed out, and to iterate again goes on behind it.
    Use it from one task, with `async with`, or `close` it.
    """

    @overload
    def __init__(
        self: Consumer[bytes, bytes],
        bootstrap: str | Sequence[str] | Client,
        **options: Unpack[ConsumerArguments],
    ) -> None: ...
    @overload
    def __init__(
        self: Consumer[K, bytes],
        bootstrap: str | Sequence[str] | Client,
        *,
        key_serializer: Serializer[K],
        **options: Unpack[ConsumerArguments],
    ) -> None: ...
    @overload
    def __init__(
        self: Consumer[bytes, V],
        bootstrap: str | Sequence[str] | Client,
        *,
        value_serializer: Serializer[V],
        **options: Unpack[ConsumerArguments],
    ) -> None: ...
    @overload
    def __init__(
        self,
        bootstrap: str | Sequence[str] | Client,
        *,
        key_serializer: Serializer[K],
        value_serializer: Serializer[V],
        **options: Unpack[ConsumerArguments],
    ) -> None: ...
    def __init__(
        self,
        bootstrap: str | Sequence[str] | Client,
        *,
        key_serializer: Serializer[Any] = BYTES,
        value_serializer: Serializer[Any] = BYTES,
        interceptors: Sequence[ConsumerInterceptor] = (),
        reset: Reset = "error",
        fetch_buffer_bytes: int = FETCH_BUFFER_BYTES,
        rack: str = "",
        request_timeout_ms: int | None = None,
        network: Network | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        options = ConsumerOptions(
            reset=reset,
            fetch_buffer_bytes=fetch_buffer_bytes,
            rack=rack,
            request_timeout_ms=request_timeout_ms,
        )
        super().__init__(bootstrap, options, network=network, clock=clock, rng=rng)
        self._decoder = BatchDecoder(key_serializer, value_serializer)
        self._interceptors = tuple(interceptors)
        self._as_they_are = key_serializer is BYTES and value_serializer is BYTES and not interceptors
        """Nothing is to be done to batches before they are handed out."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Record[K, V]:
        for record in self._records:
            return record
        while True:
            self._batch = await self._next_batch()
            self._records = iter(self._batch.records())
            for record in self._records:
                return record

    async def batches(
        self, *, until: Mapping[AnyTopicPartition, int] | None = None
    ) -> AsyncGenerator[ConsumedBatch[K, V], None]:
        """Batches of records as columns, for ever, or up to the offsets `until` (not included).

        With `until` it ends as soon as the position of each partition named there has reached its offset, as
        `end_offsets` gives them; nothing at or behind them is handed out, and nothing of partitions that are
        not named. Close it (`contextlib.aclosing`) before reading on in another way, if it has not ended. An
        error ends it too, as it does any generator: call it again to go on behind a RecordDecodeError.
        """
        if until is None:
            while True:
                yield await self._next_batch()
        ends = {topic_partition_of(each): offset for each, offset in until.items()}
        fetcher = self._running()
        self._put_back_records()
        try:
            while self._hold_reached(ends):
                self._put_back_records()
                batch = self._take(ends)
                if batch is not None:
                    yield batch
                elif self._hold_reached(ends):
                    await fetcher.wait()
        finally:
            for reader in fetcher.readers.values():
                reader.held = False
                fetcher.offer(reader)

    async def records(self, *, until: Mapping[AnyTopicPartition, int]) -> AsyncGenerator[Record[K, V], None]:
        """Records up to the offsets `until`, as `batches` does it."""
        async with aclosing(self.batches(until=until)) as batches:
            async for batch in batches:
                self._batch = batch
                self._records = iter(batch.records())
                while (record := next(self._records, None)) is not None:
                    yield record

    # --- inside ---

    async def _next_batch(self) -> ConsumedBatch[K, V]:
        """What comes next, the rest of a batch that was begun record by record first."""
        self._put_back_records()
        fetcher = self._running()
        while (batch := self._take()) is None:
            await fetcher.wait()
        return batch

    def _take(self, ends: Mapping[TopicPartition, int] | None = None) -> ConsumedBatch[Any, Any] | None:
        """What has come, below these ends; None if nothing has. Raises what is in its way."""
        batch = self._running().take()
        if batch is None:
            return None
        if ends is not None:
            batch = self._up_to(ends[batch.topic_partition], batch)
        if not self._as_they_are and not batch.finished and len(batch):
            batch = self._finish(batch)
        return batch if len(batch) else None

    def _finish(self, batch: ConsumedBatch) -> ConsumedBatch[Any, Any]:
        """The records as the application wants them, up to one that cannot be read; that is raised if it is
        the first, and is behind us then."""
        decoded, failure = self._decoder.decode(batch)
        if failure is not None:
            rest = batch.split(failure.offset if len(decoded) else failure.offset + 1)[1]
            if len(rest) > _NEAR_RECORDS:
                rest, far = rest.split(rest.offsets[_NEAR_RECORDS])
                self._put_back(far)
            if len(rest):
                self._put_back(rest)
            if not len(decoded):
                self._counts.records_undecodable += 1
                raise failure
        return intercept(self._interceptors, decoded)

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
        self._put_back(rest)
        return wanted
