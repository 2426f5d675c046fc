"""The newest committed entries, for watchers. Bounded: who falls behind it starts over from a snapshot."""

from __future__ import annotations

import asyncio
from collections import deque

from streamkeep_common.limits import MIB
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry

MAX_ENTRIES = 10_000
MAX_BYTES = 16 * MIB
RESPONSE_ENTRIES = 500
RESPONSE_BYTES = 1 * MIB


class EntryFeed:
    """Entries in order without gaps, and a way to wait for the next. Watchers have a cursor and no queue."""

    def __init__(self, committed_index: int) -> None:
        self.committed_index = committed_index
        self.closed = False
        self._entries: deque[tuple[MetadataEntry, int]] = deque()
        self._bytes = 0
        self._moved = asyncio.Event()

    def append(self, entry: MetadataEntry, size: int) -> None:
        """The next committed entry, of `size` bytes; wakes those who wait."""
        assert entry.index == self.committed_index + 1, f"entry {entry.index} after {self.committed_index}"
        self.committed_index = entry.index
        self._entries.append((entry, size))
        self._bytes += size
        while len(self._entries) > MAX_ENTRIES or (self._bytes > MAX_BYTES and len(self._entries) > 1):
            self._bytes -= self._entries.popleft()[1]
        self._wake()

    def restart(self, committed_index: int) -> None:
        """A snapshot has taken the place of the entries; who has not come so far gets it."""
        assert committed_index > self.committed_index, f"{committed_index} after {self.committed_index}"
        self.committed_index = committed_index
        self._entries.clear()
        self._bytes = 0
        self._wake()

    def close(self) -> None:
        """The coordinator stops: wake those who wait, so that they can say so."""
        self.closed = True
        self._wake()

    def after(self, index: int) -> list[MetadataEntry] | None:
        """The entries that follow, as many as fit a response; None if they are not kept any more.

        Nothing follows while this coordinator is behind `index`: what somebody has is committed, so it comes.
        """
        first = self.committed_index - len(self._entries) + 1
        if index + 1 < first:
            return None
        found: list[MetadataEntry] = []
        size = 0
        for at in range(index + 1 - first, min(index + 1 - first + RESPONSE_ENTRIES, len(self._entries))):
            entry, entry_bytes = self._entries[at]
            if found and size + entry_bytes > RESPONSE_BYTES:
                break
            found.append(entry)
            size += entry_bytes
        return found

    async def wait_past(self, index: int, timeout_s: float) -> None:
        """Return when something after that index is committed, after the timeout, or when it is closed."""
        if self.committed_index > index or self.closed:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._moved.wait()
        except TimeoutError:
            return

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
