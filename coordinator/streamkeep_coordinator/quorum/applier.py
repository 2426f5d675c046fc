"""Hands committed entries to the state machine, in slices: the loop must not stand still for a long log."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from streamkeep_common.seams import Clock
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry
from streamkeep_proto.v1.raft_pb2 import RaftEntry

SLICE_S = 0.005
"""How long entries are applied before others get their turn."""


class Applier:
    """`on_entry` gets each entry and its size in bytes; what it raises is final, and goes to `on_failure`."""

    def __init__(
        self,
        clock: Clock,
        applied_index: int,
        *,
        on_entry: Callable[[MetadataEntry, int], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self.applied_index = applied_index
        self._clock = clock
        self._on_entry = on_entry
        self._on_failure = on_failure
        self._entries: deque[RaftEntry] = deque()
        self._next_slice: asyncio.Handle | None = None

    def add(self, entries: Iterable[RaftEntry]) -> None:
        """The next committed entries; some are applied before this returns."""
        self._entries.extend(entries)
        if self._entries and self._next_slice is None:
            self._apply_slice()

    def skip_to(self, index: int) -> None:
        """A snapshot contains everything up to this index."""
        while self._entries and self._entries[0].index <= index:
            self._entries.popleft()
        self.applied_index = max(self.applied_index, index)

    def stop(self) -> None:
        """Apply nothing more."""
        self._entries.clear()
        if self._next_slice is not None:
            self._next_slice.cancel()

    def _apply_slice(self) -> None:
        self._next_slice = None
        ends_at = self._clock.monotonic() + SLICE_S
        try:
            while self._entries and self._clock.monotonic() < ends_at:
                self._apply(self._entries.popleft())
        except Exception as error:  # whatever it is, the image could not be trusted any more
            self._entries.clear()
            self._on_failure(error)
            return
        if self._entries:
            self._next_slice = asyncio.get_running_loop().call_soon(self._apply_slice)

    def _apply(self, entry: RaftEntry) -> None:
        assert entry.index == self.applied_index + 1, f"entry {entry.index} after {self.applied_index}"
        self.applied_index = entry.index
        self._on_entry(MetadataEntry.FromString(entry.data), len(entry.data))
