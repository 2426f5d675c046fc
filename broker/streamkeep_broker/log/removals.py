"""Files on their way out: removed from disk a while after nobody is given them any more.

The delay lets readers finish that hold a position in them. When room is short nothing waits.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from streamkeep_broker.log.volume import Volume
from streamkeep_common.seams import Clock

_logger = logging.getLogger(__name__)


class _Removal(NamedTuple):
    due: float
    remove: Callable[[], None]


class Removals:
    """What is to be removed from one volume, in the order in which it was given."""

    def __init__(self, volume: Volume, *, clock: Clock, delay_ms: int) -> None:
        self._volume = volume
        self._clock = clock
        self._delay_s = delay_ms / 1000
        self._waiting: deque[_Removal] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, remove: Callable[[], None]) -> None:
        """Call `remove`, which may block and raise OSError, on a worker when its time has come."""
        self._waiting.append(_Removal(self._clock.monotonic() + self._delay_s, remove))

    async def carry_out(self) -> None:
        """Remove what is due, or everything if the disk is full; then look how much room there is."""
        due = self._take_due()
        if not due:
            return
        if self._volume.is_full:
            # What takes its place may have been asked to be flushed only now; nothing is appended meanwhile.
            await self._volume.flusher.settle()
        else:
            # What is removed may still be part of a flush that was under way when it was taken out.
            await self._volume.flusher.barrier()
        await self._volume.keep_house(lambda: _remove_all(due))
        await self._volume.measure()

    def _take_due(self) -> list[_Removal]:
        now = self._clock.monotonic()
        due = []
        while self._waiting and (self._volume.is_full or self._waiting[0].due <= now):
            due.append(self._waiting.popleft())
        return due


def _remove_all(due: list[_Removal]) -> None:
    for removal in due:
        try:
            removal.remove()
        except OSError:
            # Nothing is lost by a file too many: the next start finds and removes it.
            _logger.exception("files that are not needed any more could not be removed")
