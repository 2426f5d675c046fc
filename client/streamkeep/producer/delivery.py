"""What became of records: receipts of batches, and the light handles that point into them.

A receipt belongs to one batch as it was filled. It is settled once or, if the batch had to be split, piece
by piece. Handles cost one small object a record; a future is made only for who waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NamedTuple, overload

from streamkeep_common.errors import StreamkeepError

UNKNOWN_OFFSET = -1


class RecordMetadata(NamedTuple):
    """Where a record is.

    `offset` is -1 if the broker knows that the record is stored but no longer where (it was sent again much
    later than it was stored). `timestamp_ms` is the record's own, in ms since 1970-01-01 UTC; a topic with
    `timestamp_type=append` shows readers the broker's time instead.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int


class _Outcome(NamedTuple):
    """Of the records from `first` up to `end` (not included)."""

    first: int
    end: int
    base_offset: int
    error: StreamkeepError | None


class Receipt:
    """The outcome of the records that were batched together, by their index in the batch."""

    __slots__ = ("_outcomes", "_waiters", "_watchers", "partition", "timestamp_ms", "timestamps_ms", "topic")

    def __init__(self, topic: str, partition: int, timestamp_ms: int) -> None:
        self.topic = topic
        self.partition = partition
        self.timestamp_ms = timestamp_ms
        self.timestamps_ms: Sequence[int] | None = None
        self._outcomes: tuple[_Outcome, ...] = ()
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._watchers: dict[int, Callable[[Delivery], None]] = {}

    def acknowledge(self, first: int, count: int, base_offset: int) -> None:
        """Records from `first` on are stored, at `base_offset` and after it (-1 if not known where)."""
        self._settle(_Outcome(first, first + count, base_offset, None))

    def fail(self, first: int, count: int, error: StreamkeepError) -> None:
        self._settle(_Outcome(first, first + count, UNKNOWN_OFFSET, error))

    def is_settled(self, index: int) -> bool:
        return self._outcome(index) is not None

    def error(self, index: int) -> StreamkeepError | None:
        outcome = self._outcome(index)
        return None if outcome is None else outcome.error

    def metadata(self, index: int) -> RecordMetadata:
        """Of a settled record. Raises what went wrong with it."""
        outcome = self._outcome(index)
        if outcome is None:
            raise asyncio.InvalidStateError("the record is still on its way; await its delivery")
        if outcome.error is not None:
            raise outcome.error.with_traceback(None)
        known = outcome.base_offset != UNKNOWN_OFFSET
        offset = outcome.base_offset + index - outcome.first if known else UNKNOWN_OFFSET
        timestamp_ms = self.timestamp_ms if self.timestamps_ms is None else self.timestamps_ms[index]
        return RecordMetadata(self.topic, self.partition, offset, timestamp_ms)

    async def wait(self, index: int) -> None:
        """Until the record is settled. Every waiter has a future of its own, so one may give up alone."""
        if self.is_settled(index):
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append((index, waiter))
        await waiter

    def watch(self, index: int, tell: Callable[[Delivery], None]) -> None:
        """Call `tell` once as soon as the record is settled, now if it is. One watcher a record."""
        if self.is_settled(index):
            tell(Delivery(self, index))
        else:
            self._watchers[index] = tell

    def settled_up_to(self, index: int) -> int:
        """First index after `index` that was not settled together with it."""
        outcome = self._outcome(index)
        return index if outcome is None else outcome.end

    def _outcome(self, index: int) -> _Outcome | None:
        for outcome in self._outcomes:
            if outcome.first <= index < outcome.end:
                return outcome
        return None

    def _settle(self, outcome: _Outcome) -> None:
        assert self._outcome(outcome.first) is None, "a record is settled once"
        self._outcomes += (outcome,)
        if self._watchers:
            self._tell_watchers(outcome)
        if not self._waiters:
            return
        waiters, self._waiters = self._waiters, []
        for index, waiter in waiters:
            if not outcome.first <= index < outcome.end:
                self._waiters.append((index, waiter))
            elif not waiter.done():
                waiter.set_result(None)

    def _tell_watchers(self, outcome: _Outcome) -> None:
        for index in range(outcome.first, outcome.end):
            tell = self._watchers.pop(index, None)
            if tell is not None:
                tell(Delivery(self, index))


class Delivery:
    """One record on its way. `await` it for its `RecordMetadata`; that raises if it could not be delivered.

    Awaiting is optional: the record is delivered all the same. Cancelling the wait does not recall it.
    """

    __slots__ = ("_index", "_receipt")

    def __init__(self, receipt: Receipt, index: int) -> None:
        self._receipt = receipt
        self._index = index

    def __repr__(self) -> str:
        receipt = self._receipt
        outcome = "on its way, await it for its RecordMetadata"
        if self.done():
            outcome = repr(self.exception() or self.result())
        return f"<Delivery to {receipt.topic}-{receipt.partition}: {outcome}>"

    def done(self) -> bool:
        """The outcome is known."""
        return self._receipt.is_settled(self._index)

    def result(self) -> RecordMetadata:
        """The outcome, once `done`. Raises asyncio.InvalidStateError before."""
        return self._receipt.metadata(self._index)

    def exception(self) -> StreamkeepError | None:
        """What went wrong, or None (also while the record is on its way)."""
        return self._receipt.error(self._index)

    def __await__(self) -> Generator[Any, None, RecordMetadata]:
        yield from self._receipt.wait(self._index).__await__()
        return self._receipt.metadata(self._index)


def watch(delivery: Delivery, tell: Callable[[Delivery], None]) -> None:
    """Call `tell` once as soon as the record's outcome is known, now if it is."""
    delivery._receipt.watch(delivery._index, tell)


class Span(NamedTuple):
    """Consecutive records of one receipt, and which records of a `send_many` they are."""

    receipt: Receipt
    first: int
    inputs: Sequence[int]


class Deliveries(Sequence[Delivery]):
    """The records of one `send_many`, in the order of its arguments.

    `await` it until all are settled; that raises the first failure. Each item is one record's `Delivery`.
    """

    def __init__(self, count: int, spans: list[Span]) -> None:
        self._count = count
        self._spans = spans
        self._items: list[Delivery] | None = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Delivery: ...
    @overload
    def __getitem__(self, index: slice) -> list[Delivery]: ...
    def __getitem__(self, index: int | slice) -> Delivery | list[Delivery]:
        return self._deliveries()[index]

    def __iter__(self) -> Iterator[Delivery]:
        return iter(self._deliveries())

    def done(self) -> bool:
        """All outcomes are known."""
        return all(delivery.done() for delivery in self._deliveries())

    def failures(self) -> list[tuple[int, StreamkeepError]]:
        """Index and error of each record that is known to have failed."""
        failed = ((index, delivery.exception()) for index, delivery in enumerate(self._deliveries()))
        return [(index, error) for index, error in failed if error is not None]

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._wait().__await__()

    async def _wait(self) -> None:
        first_error: StreamkeepError | None = None
        for receipt, first, inputs in self._spans:
            index, end = first, first + len(inputs)
            while index < end:
                await receipt.wait(index)
                first_error = first_error or receipt.error(index)
                index = receipt.settled_up_to(index)
        if first_error is not None:
            raise first_error.with_traceback(None)

    def _deliveries(self) -> list[Delivery]:
        if self._items is None:
            by_input: dict[int, Delivery] = {}
            for receipt, first, inputs in self._spans:
                for at, index in enumerate(inputs, start=first):
                    by_input[index] = Delivery(receipt, at)
            self._items = [by_input[index] for index in range(self._count)]
        return self._items
