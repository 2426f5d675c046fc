"""What became of records, for whoever sent them from a thread."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import Any, overload

from streamkeep.blocking.handover import Handover
from streamkeep.blocking.portal import PORTAL
from streamkeep.producer.delivery import RecordMetadata
from streamkeep_common.errors import StreamkeepError


class Delivery:
    """One record on its way. `result` waits for its `RecordMetadata`.

    To ask is optional: the record is delivered all the same. To give up waiting does not recall it.
    """

    __slots__ = ("_handover", "_index")

    def __init__(self, handover: Handover, index: int) -> None:
        self._handover = handover
        self._index = index

    def __repr__(self) -> str:
        outcome = "on its way, its result() is its RecordMetadata"
        if self.done():
            outcome = repr(self.exception() or self._handover.result(self._index))
        return f"<Delivery to {self._handover.topic}: {outcome}>"

    def done(self) -> bool:
        """The outcome is known."""
        return self._handover.done(self._index)

    def result(self, *, timeout_ms: int | None = None) -> RecordMetadata:
        """Wait for the outcome, at most `timeout_ms` (default: as long as deliveries may take).

        Raises what the record failed with; TimeoutError when the time is up, which says nothing of it.
        """
        if not self._handover.done(self._index):
            _wait(self._handover.wait(self._index), timeout_ms)
        return self._handover.result(self._index)

    def exception(self) -> StreamkeepError | None:
        """What went wrong, or None (also while the record is on its way)."""
        return self._handover.exception(self._index)


class Deliveries(Sequence[Delivery]):
    """The records of one `send_many`, in the order of its arguments. Each item is one record's `Delivery`."""

    def __init__(self, items: list[Delivery]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Delivery: ...
    @overload
    def __getitem__(self, index: slice) -> list[Delivery]: ...
    def __getitem__(self, index: int | slice) -> Delivery | list[Delivery]:
        return self._items[index]

    def __iter__(self) -> Iterator[Delivery]:
        return iter(self._items)

    def done(self) -> bool:
        """All outcomes are known."""
        return all(delivery.done() for delivery in self._items)

    def failures(self) -> list[tuple[int, StreamkeepError]]:
        """Index and error of each record that is known to have failed."""
        failed = ((index, delivery.exception()) for index, delivery in enumerate(self._items))
        return [(index, error) for index, error in failed if error is not None]

    def result(self, *, timeout_ms: int | None = None) -> None:
        """Wait until all are settled, at most `timeout_ms` (default: as long as deliveries may take).

        Raises the first failure; TimeoutError when the time is up, which says nothing of the records.
        """
        if not self.done():
            _wait(_all(dict.fromkeys(delivery._handover for delivery in self._items)), timeout_ms)
        for _, error in self.failures()[:1]:
            raise error.with_traceback(None)


async def _all(handovers: Iterable[Handover]) -> None:
    for handover in handovers:
        await handover.wait_for_all()


def _wait(work: Coroutine[Any, Any, None], timeout_ms: int | None) -> None:
    try:
        PORTAL.call(work, timeout_ms=timeout_ms)
    except TimeoutError:
        raise TimeoutError(f"no outcome within {timeout_ms} ms; what was sent stays on its way") from None
