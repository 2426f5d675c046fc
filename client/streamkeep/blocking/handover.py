"""Records on their way from the thread that sends them to the loop, and where their outcomes are found then.

A handover is filled under the lock of its `Staging`, given on by the loop, and read by any thread: what it
holds is replaced as a whole, never changed, once a second thread may look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, TypeAlias

from streamkeep.blocking.portal import PORTAL
from streamkeep.producer.arguments import HeadersArgument
from streamkeep.producer.delivery import Deliveries, Delivery, RecordMetadata
from streamkeep.producer.interceptors import Passage
from streamkeep.producer.producer import Producer
from streamkeep_common.errors import StreamkeepError

Row: TypeAlias = tuple[bytes | None, bytes | None, HeadersArgument | None, int | None, int | None]
"""Value, key, headers, timestamp in ms and partition. One object, so that what is appended is a whole record
wherever Ctrl-C strikes."""


class Handover:
    """Consecutive records of one topic; none at all is a mark between others."""

    __slots__ = ("_wanted", "deliveries", "error", "passages", "taken", "topic")

    def __init__(self, topic: str, wanted: asyncio.Event) -> None:
        self.topic = topic
        self.passages: list[tuple[int, Passage]] = []
        """Records, by index, whose interceptors want to hear what became of them."""
        self.deliveries: Sequence[Delivery] | None = None
        self.error: StreamkeepError | None = None
        self.taken = asyncio.Event()
        """The producer on the loop has them, or an error says why not."""
        self._wanted = wanted

    @property
    def count(self) -> int:
        """Records that the producer has not taken, and whose sender is not there any more to be told so."""
        return 0

    async def give(self, producer: Producer) -> None:
        """Give the records to the producer on the loop. Raises why it does not take them."""
        self.deliveries = await self._give(producer)
        for index, passage in self.passages:
            passage.watch(self.deliveries[index])
        self.taken.set()

    def refuse(self, error: StreamkeepError) -> None:
        """The producer has not taken the records, and never will."""
        self.error = error
        for _, passage in self.passages:
            passage.failed(error)
        self.taken.set()

    async def _give(self, _producer: Producer) -> Sequence[Delivery]:
        """The records, in order."""
        return ()

    # --- what became of them ---

    def done(self, index: int) -> bool:
        if self.deliveries is None:
            return self.error is not None
        return self.deliveries[index].done()

    def exception(self, index: int) -> StreamkeepError | None:
        return self.error if self.deliveries is None else self.deliveries[index].exception()

    def result(self, index: int) -> RecordMetadata:
        """Of a record whose outcome is known."""
        if self.error is not None:
            raise self.error.with_traceback(None)
        assert self.deliveries is not None, "who has an outcome has been handed over"
        return self.deliveries[index].result()

    async def wait(self, index: int) -> None:
        """On the loop: until the outcome of this record is known, good or bad."""
        await self.wait_until_taken()
        if self.deliveries is not None:
            with suppress(StreamkeepError):
                await self.deliveries[index]

    async def wait_for_all(self) -> None:
        """On the loop: until all outcomes are known."""
        await self.wait_until_taken()
        with suppress(StreamkeepError):
            if isinstance(self.deliveries, Deliveries):
                await self.deliveries
        for index in range(len(self.deliveries or ())):
            if not self.done(index):
                await self.wait(index)

    async def wait_until_taken(self) -> None:
        """On the loop: until the records are the producer's, or never will be."""
        if not self.taken.is_set():
            self._wanted.set()
            await self.taken.wait()


class PlainHandover(Handover):
    """Records with nothing but a value."""

    __slots__ = ("values",)

    def __init__(self, topic: str, wanted: asyncio.Event) -> None:
        super().__init__(topic, wanted)
        self.values: list[bytes | None] = []

    @property
    def count(self) -> int:
        return len(self.values)

    async def _give(self, producer: Producer) -> Sequence[Delivery]:
        deliveries = await producer.send_many(self.topic, self.values)
        self.values = []
        return deliveries


class RowHandover(Handover):
    """Records of any kind."""

    __slots__ = ("rows",)

    def __init__(self, topic: str, wanted: asyncio.Event) -> None:
        super().__init__(topic, wanted)
        self.rows: list[Row] = []

    @property
    def count(self) -> int:
        return len(self.rows)

    async def _give(self, producer: Producer) -> Sequence[Delivery]:
        deliveries = await self._give_rows(producer, self.rows)
        self.rows = []
        return deliveries

    async def _give_rows(self, producer: Producer, rows: Sequence[Row]) -> Sequence[Delivery]:
        """As columns where one call does for all, which is much faster; else one by one.

        The order within a partition must stay: only records that all have a key, or all have none, may go as
        columns without a partition.
        """
        if not rows:  # Ctrl-C struck just before the first was added
            return ()
        values, keys, headers, timestamps_ms, partitions = zip(*rows, strict=True)
        count, partition = len(rows), partitions[0]
        keyed, stamped = count - keys.count(None), count - timestamps_ms.count(None)
        agree = partitions.count(partition) == count and stamped in (0, count)
        if not agree or (partition is None and 0 < keyed < count):
            return [await self._give_one(producer, row) for row in rows]
        return await producer.send_many(
            self.topic,
            values,
            keys=keys if keyed else None,
            headers=headers if any(headers) else None,
            timestamps_ms=timestamps_ms if stamped else None,
            partition=partition,
        )

    async def _give_one(self, producer: Producer, row: Row) -> Delivery:
        value, key, headers, timestamp_ms, partition = row
        return await producer.send(
            self.topic, value, key=key, headers=headers, timestamp_ms=timestamp_ms, partition=partition
        )


class Columns(NamedTuple):
    """The arguments of one `send_many`."""

    values: Sequence[bytes | None]
    keys: Sequence[bytes | None] | None
    headers: Sequence[HeadersArgument | None] | None
    timestamps_ms: Sequence[int] | int | None
    partition: int | None


class ColumnHandover(Handover):
    """What `send_many` was given, as it is; who gave it waits until it is taken."""

    __slots__ = ("_columns", "_giving", "_is_recalled", "refusal")

    def __init__(self, topic: str, wanted: asyncio.Event, columns: Columns) -> None:
        super().__init__(topic, wanted)
        self.refusal: BaseException | None = None
        """Why it was not taken, which is for the caller alone to hear."""
        self._columns = columns
        self._giving: asyncio.Task[Deliveries] | None = None
        self._is_recalled = False

    async def _give(self, producer: Producer) -> Sequence[Delivery]:
        if self._is_recalled:
            return ()
        values, keys, headers, timestamps_ms, partition = self._columns
        giving = self._giving = asyncio.ensure_future(
            producer.send_many(
                self.topic,
                values,
                keys=keys,
                headers=headers,
                timestamps_ms=timestamps_ms,
                partition=partition,
            )
        )
        try:
            await asyncio.wait([giving])
        finally:
            giving.cancel()
        if giving.cancelled():
            return ()
        self.refusal = giving.exception()
        return giving.result() if self.refusal is None else ()

    def refuse(self, error: StreamkeepError) -> None:
        self.refusal = error
        super().refuse(error)

    def recall_unless_taken(self) -> None:
        """The caller waits no longer, and may change the columns."""
        if not (self.taken.is_set() or PORTAL.lost):
            PORTAL.post(self._recall)

    def _recall(self) -> None:
        self._is_recalled = True
        if self._giving is not None:
            self._giving.cancel()
