"""Reads that must not be old: batched, confirmed by ReadIndex (thesis 6.4), then held until applied.

One question is open at a time, and all reads that come meanwhile share the next: the more there are, the less
each costs. A question may be lost on the way or with its leader, so one that stays open is asked again.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from random import Random

ASK_AGAIN_TICKS = 4
_CONTEXT_BITS = 62

Batch = list[asyncio.Future[None]]


class Reads:
    """The reads of one process. Contexts begin at random: an answer to an earlier process fits nothing."""

    def __init__(self, rng: Random) -> None:
        self._context = rng.getrandbits(_CONTEXT_BITS)
        self._new: Batch = []
        self._asked: dict[int, tuple[int, Batch]] = {}
        self._confirmed: list[tuple[int, int, Batch]] = []
        self._ticks = 0

    @property
    def is_asking(self) -> bool:
        """There are reads to ask about, and no question is open: those that come meanwhile share the next."""
        return bool(self._new) and not self._asked

    def add(self) -> asyncio.Future[None]:
        """A read; done when all that is committed by now is applied. Cancel it to give up."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._new.append(future)
        return future

    def ask(self, read: Callable[[int], None]) -> None:
        """Ask for all new reads at once. What `read` raises means that there is nobody to ask."""
        self._new = [future for future in self._new if not future.done()]
        if self._new:
            read(self._context + 1)
            self._context += 1
            self._asked[self._context] = (self._ticks, self._new)
            self._new = []

    def confirm(self, context: int, index: int, applied_index: int) -> None:
        """The answer to a question: its reads may go on once `index` is applied."""
        _, batch = self._asked.pop(context, (0, []))
        if batch:
            heapq.heappush(self._confirmed, (index, context, batch))
            self.applied(applied_index)

    def applied(self, index: int) -> None:
        """Everything up to this index is applied."""
        while self._confirmed and self._confirmed[0][0] <= index:
            for future in heapq.heappop(self._confirmed)[2]:
                if not future.done():
                    future.set_result(None)

    def tick(self) -> None:
        """Time passes: what was asked too long ago is new again."""
        self._ticks += 1
        late = [each for each, (asked, _) in self._asked.items() if self._ticks - asked >= ASK_AGAIN_TICKS]
        for context in late:
            self._new += self._asked.pop(context)[1]

    def ask_again(self) -> None:
        """Somebody else leads: the answer to an open question may never come."""
        self._new = [*(each for _, batch in self._asked.values() for each in batch), *self._new]
        self._asked.clear()

    def fail(self, make_error: Callable[[], Exception]) -> None:
        """Nobody will ever answer."""
        batches = [self._new, *(batch for _, batch in self._asked.values())]
        batches += [batch for _, _, batch in self._confirmed]
        self._new, self._asked, self._confirmed = [], {}, []
        for future in (future for batch in batches for future in batch if not future.done()):
            future.set_exception(make_error())
