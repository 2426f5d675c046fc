"""What is done to the logs from time to time: retention, checkpoints, removals, a look at the room left.

Each runs in a loop of its own for each directory, so that neither a slow one nor a disk that hangs holds up
the rest. Decides nothing: logs say which segments they no longer need, directories what their room means.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from streamkeep_broker.log.open_directory import LOGS_PER_TURN, OpenDirectory
from streamkeep_broker.log.segments import RemovedSegment
from streamkeep_common.seams import Clock

SPACE_CHECK_MS = 1_000

_Work = Callable[[OpenDirectory], Awaitable[None]]

_logger = logging.getLogger(__name__)


class Upkeep:
    """Looks after open directories until it is stopped. `open_rest` tries to open what is still closed."""

    def __init__(
        self,
        directories: Iterable[OpenDirectory],
        *,
        open_rest: _Work,
        clock: Clock,
        retention_check_ms: int,
        checkpoint_ms: int,
        producer_expiration_ms: int,
        space_check_ms: int = SPACE_CHECK_MS,
    ) -> None:
        self._directories = list(directories)
        self._open_rest = open_rest
        self._clock = clock
        self._producer_expiration_ms = producer_expiration_ms
        self._rounds = [
            (retention_check_ms, self._retain),
            (checkpoint_ms, self._checkpoint),
            (space_check_ms, self._make_room),
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; the first round of each comes after its interval."""
        self._tasks = [
            asyncio.create_task(self._repeat(every_ms, work, home))
            for home in self._directories
            for every_ms, work in self._rounds
        ]

    async def stop(self) -> None:
        """End, between two pieces of work or in the middle of one."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _retain(self, home: OpenDirectory) -> None:
        """Let every log give up what it no longer needs."""
        now_ms = self._clock.now_ms()
        unneeded: list[RemovedSegment] = []
        for number, log in enumerate(list(home.logs.values()), start=1):
            try:
                unneeded += log.take_unneeded_segments(now_ms)
            except OSError as error:  # it must not keep the others' disk from being freed
                _logger.error("%r keeps what it no longer needs: %s", log, home.write_failed(error))
            log.producers.expire(now_ms, self._producer_expiration_ms)
            if number % LOGS_PER_TURN == 0:
                await asyncio.sleep(0)
        if unneeded:
            await home.release(unneeded)

    async def _checkpoint(self, home: OpenDirectory) -> None:
        """Flush what nobody waits for, and write down what is on disk."""
        home.flush_unhurried()
        await home.checkpoint()

    async def _make_room(self, home: OpenDirectory) -> None:
        """Remove what is due, and see how much room there is; on a full disk retention does not wait."""
        if home.directory.is_full:
            await self._retain(home)
        await home.removals.carry_out()
        await home.volume.measure()
        home.volume.flusher.retry()
        if home.unopened and not home.directory.is_full:
            await self._open_logs(home)

    async def _open_logs(self, home: OpenDirectory) -> None:
        """Try again to open what is closed; what could not be hosted for want of its log can be then."""
        closed = len(home.unopened)
        await self._open_rest(home)
        if len(home.unopened) < closed:
            home.flush_unhurried()
            home.volume.on_change(home.directory)

    async def _repeat(self, every_ms: int, work: _Work, home: OpenDirectory) -> None:
        while True:
            await self._clock.sleep(every_ms / 1000)
            if home.directory.is_offline:
                return  # for ever
            try:
                await work(home)
            except Exception:
                # One bad round must not end retention or checkpoints for the rest of the process's life.
                _logger.exception("upkeep of %s failed and goes on", home.path)
