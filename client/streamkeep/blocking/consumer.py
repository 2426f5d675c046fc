"""The consumer that users hold: batches cross over from the loop, records are iterated by who uses them."""

from __future__ import annotations

import random
from collections.abc import Coroutine, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Generic, Self, TypeVar, Unpack, overload

from streamkeep.blocking.client import Client, on_loop
from streamkeep.blocking.handle import Handle
from streamkeep.blocking.loop_consumer import LoopConsumer
from streamkeep.blocking.portal import PORTAL
from streamkeep.consumer.interceptors import ConsumerInterceptor
from streamkeep.consumer.metrics import ConsumerMetrics
from streamkeep.consumer.options import FETCH_BUFFER_BYTES, ConsumerArguments, Reset
from streamkeep.consumer.records import ConsumedBatch, Record
from streamkeep.consumer.starts import Start
from streamkeep.serializers import BYTES, K, Serializer, V
from streamkeep.topic_partition import AnyTopicPartition, TopicPartition
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import Network

T = TypeVar("T")


class Consumer(Handle, Generic[K, V]):
    """Reads assigned partitions, each in order, from a position that is the caller's own.

    All options, and what is raised, are those of `streamkeep.Consumer`. Serializers and interceptors are
    called on the thread of the SDK, one batch at a time, so they must not use this package.

    Iterate with `for record in consumer`, or faster with `for batch in consumer.batches()`; both go on where
    the other left off. Ctrl-C ends a wait at once, and nothing that had arrived is skipped when you iterate
    again. Use it from one thread, with `with`, or `close` it, which another thread may do.
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
        self._on_loop = LoopConsumer(
            on_loop(bootstrap),
            key_serializer=key_serializer,
            value_serializer=value_serializer,
            interceptors=interceptors,
            reset=reset,
            fetch_buffer_bytes=fetch_buffer_bytes,
            rack=rack,
            request_timeout_ms=request_timeout_ms,
            network=network,
            clock=clock,
            rng=rng,
        )
        self._was_left = False
        """A wait has not ended well: what it waited for may still arrive, until that is settled."""
        super().__init__(self._on_loop)

    def close(self) -> None:
        """Let go of everything. A waiting iteration ends with ClosedError. Who closes it meanwhile waits for
        the same end."""
        self._leave(self._on_loop.close())

    # --- what is read, and from where ---

    def partitions_for(self, topic: str) -> list[TopicPartition]:
        """All partitions of a topic, for `assign`. Raises UnknownTopicError."""
        return self._cross(self._on_loop.partitions_for(topic))

    def assign(
        self,
        topic_partitions: Iterable[tuple[str, int]] | Mapping[AnyTopicPartition, Start],
        *,
        start: Start = "earliest",
    ) -> None:
        """Read these partitions and no others: each from its own start, or all from `start`.

        When it returns, every start has become an offset: from "latest", all that is produced from then on is
        read. Raises UnknownTopicError, UnknownPartitionError, or why a start could not be found.
        """
        self._cross(self._on_loop.assign(topic_partitions, start=start))

    def assignment(self) -> list[TopicPartition]:
        """The assigned partitions, in the order given."""
        return self._on_loop.assignment()

    def seek(self, topic_partition: tuple[str, int], start: Start) -> None:
        """Read a partition on from there; what was fetched of it is dropped. Takes away its error, if any."""
        self._cross(self._on_loop.seek(topic_partition, start))

    def position(self, topic_partition: tuple[str, int]) -> int:
        """Offset of the next record to be handed out."""
        self._settle()
        return self._on_loop.position(topic_partition)

    def lag(self, topic_partition: tuple[str, int]) -> int | None:
        """Records between the position and the end of what may be read; None until the broker has said."""
        self._settle()
        return self._on_loop.lag(topic_partition)

    def high_watermark(self, topic_partition: tuple[str, int]) -> int | None:
        """First offset that may not be read yet, as last heard; None until the broker has said."""
        return self._on_loop.high_watermark(topic_partition)

    def pause(self, *topic_partitions: tuple[str, int]) -> None:
        """Hand out nothing more of these partitions until `resume`. At most their share is fetched ahead."""
        self._settle()
        self._run(partial(self._on_loop.pause, *topic_partitions))

    def resume(self, *topic_partitions: tuple[str, int]) -> None:
        """Hand out again what `pause` held back."""
        self._settle()
        self._run(partial(self._on_loop.resume, *topic_partitions))

    # --- offsets ---

    def beginning_offsets(self, topic_partitions: Iterable[tuple[str, int]]) -> dict[TopicPartition, int]:
        """The first offset of each partition that can still be read."""
        return self._cross(self._on_loop.beginning_offsets(topic_partitions))

    def end_offsets(self, topic_partitions: Iterable[tuple[str, int]]) -> dict[TopicPartition, int]:
        """The high watermark of each partition: the offset of the next record to become readable."""
        return self._cross(self._on_loop.end_offsets(topic_partitions))

    def offsets_for_times(
        self, times_ms: Mapping[AnyTopicPartition, int]
    ) -> dict[TopicPartition, int | None]:
        """For each partition the first offset with that timestamp or a later one; None if there is none."""
        return self._cross(self._on_loop.offsets_for_times(times_ms))

    def metrics(self) -> ConsumerMetrics:
        """What was counted so far, and how full the buffer is. Cheap enough to be called every second."""
        self._settle()
        return self._on_loop.metrics()

    # --- reading ---

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Record[K, V]:
        consumer = self._on_loop
        for record in consumer.at_hand:
            return record
        while True:
            self._wait()
            consumer.begin()
            for record in consumer.at_hand:
                return record

    def batches(
        self, *, until: Mapping[AnyTopicPartition, int] | None = None
    ) -> Generator[ConsumedBatch[K, V], None, None]:
        """Batches of records as columns, for ever, or up to the offsets `until` (not included).

        With `until` it ends as soon as the position of each partition named there has reached its offset, as
        `end_offsets` gives them; nothing at or behind them is handed out, and nothing of partitions that are
        not named. Close it (`contextlib.closing`) before reading on in another way, if it has not ended. An
        error ends it too, as it does any generator: call it again to go on behind a RecordDecodeError.
        """
        if until is None:
            while True:
                self._wait()
                yield self._on_loop.pick()
        with closing(self._arrivals(until)) as arrivals:
            for _ in arrivals:
                yield self._on_loop.pick()

    def records(self, *, until: Mapping[AnyTopicPartition, int]) -> Generator[Record[K, V], None, None]:
        """Records up to the offsets `until`, as `batches` does it."""
        with closing(self._arrivals(until)) as arrivals:
            for _ in arrivals:
                self._on_loop.begin()
                while (record := next(self._on_loop.at_hand, None)) is not None:
                    yield record

    # --- inside ---

    def _wait(self) -> None:
        """Until something has arrived, if nothing had when an earlier wait was left."""
        if self._on_loop.arrived is None and self._on_loop.failure is None:
            self._was_left = True
            self._call(self._on_loop.arrive())
            self._was_left = False

    def _arrivals(self, until: Mapping[AnyTopicPartition, int]) -> Generator[None, None, None]:
        """Every time something has arrived that lies before these ends."""
        self._settle()
        batches = self._on_loop.batches(until=until)
        try:
            self._was_left = True
            while self._call(self._on_loop.arrive_by(batches)):
                self._was_left = False
                yield
                self._was_left = True
        finally:
            if not PORTAL.lost:
                PORTAL.post(self._on_loop.stop, batches)

    def _cross(self, work: Coroutine[Any, Any, T]) -> T:
        """What has arrived and was not taken goes back, so that whatever is done next finds it."""
        try:
            self._settle()
        except BaseException:
            work.close()
            raise
        return self._call(work)

    def _settle(self) -> None:
        if self._was_left or self._on_loop.arrived is not None:
            self._call(self._on_loop.settle())
            self._was_left = False
        self._on_loop.failure = None
