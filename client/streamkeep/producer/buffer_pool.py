"""The bytes that records may take between `send` and their acknowledgement, and who waits for some."""

from __future__ import annotations

import asyncio
from collections import deque

from streamkeep_common.limits import KIB

_ORDINARY_BYTES = 64 * KIB
_LEAST_ORDINARY_RECORDS = 4
"""A small buffer holds so many ordinary records all the same."""


class BufferPool:
    """Counts bytes; nothing is allocated. Waiters are woken first come, first served, one at a time: each
    takes what it needs and wakes the next."""

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self._ordinary_bytes = min(_ORDINARY_BYTES, capacity_bytes // _LEAST_ORDINARY_RECORDS)
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def has_room(self) -> bool:
        """There is room for an ordinary record."""
        return self.used_bytes + self._ordinary_bytes <= self.capacity_bytes

    def take(self, size: int) -> bool:
        """Reserve `size` bytes if they are free. A lone reservation above the capacity would never be."""
        if self.used_bytes + size > self.capacity_bytes:
            return False
        self.used_bytes += size
        return True

    def give(self, size: int) -> None:
        """Free `size` bytes."""
        self.used_bytes -= size
        assert self.used_bytes >= 0, "more bytes were given back than taken"
        self.wake_next()

    async def wait(self) -> None:
        """Until bytes were freed; they may be too few, so look and wait again."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.wake_next()  # the turn that this one was given goes to the next
            raise

    def pass_on(self) -> None:
        """Who was woken has taken what it needed: the next may find room too."""
        if self.has_room:
            self.wake_next()

    def wake_next(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def wake_all(self) -> None:
        while self._waiters:
            self.wake_next()
