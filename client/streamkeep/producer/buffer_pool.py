"""The bytes that records may take between `send` and their acknowledgement, and the line for them."""

from __future__ import annotations

import asyncio

from streamkeep_common.limits import KIB

_ORDINARY_BYTES = 64 * KIB
_LEAST_ORDINARY_RECORDS = 4
"""A small buffer holds so many ordinary records all the same."""


class BufferPool:
    """Counts bytes; nothing is allocated.

    `line` is held by whoever is the next to take what is freed, however much that needs: it waits by `freed`.
    The others wait for the line, first come, first served, so that a large record does not wait for ever
    among small ones. While it is held nobody else may `take`.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self.line = asyncio.Lock()
        self._ordinary_bytes = min(_ORDINARY_BYTES, capacity_bytes // _LEAST_ORDINARY_RECORDS)
        self._waiter: asyncio.Future[None] | None = None

    @property
    def has_room(self) -> bool:
        """There is room for an ordinary record, and nobody waits for it."""
        return not self.line.locked() and self.used_bytes + self._ordinary_bytes <= self.capacity_bytes

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
        self.wake()

    async def freed(self) -> None:
        """Until bytes were freed; they may be too few, so look and wait again. For who holds the line."""
        assert self.line.locked(), "one at a time"
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def wake(self) -> None:
        """Have who waits look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
