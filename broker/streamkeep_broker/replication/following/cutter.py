"""Cuts one log as `FollowState` says. Until that is done nothing else may change it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.replication.following.cuts import BeginAnew, CutTo
from streamkeep_broker.streams import run_watched
from streamkeep_common.errors import StreamkeepError

Then = Callable[[StreamkeepError | None], None]


class Cutter:
    """See the module. `on_failure` hears of what should not be possible."""

    def __init__(self, log: PartitionLog, logs: LogManager, on_failure: Callable[[Exception], None]) -> None:
        self._log = log
        self._logs = logs
        self._on_failure = on_failure
        self._task: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """A cut is under way."""
        return self._task is not None

    @property
    def is_gone(self) -> bool:
        """The log was deleted, or set aside: nothing is to be done to it any more."""
        return self._logs.get(*self._log.key) is not self._log

    def begin(self, cut: CutTo | BeginAnew, then: Then) -> None:
        """Call `then` when it is done, or with what kept it from being done; the log is whole then, or its
        disk has failed for ever."""
        assert not self.is_busy
        self._task = run_watched(self._carry_out(cut, then), self._on_failure)

    async def settled(self) -> None:
        """Return when no cut is under way."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _carry_out(self, cut: CutTo | BeginAnew, then: Then) -> None:
        error: StreamkeepError | None = None
        try:
            await self._cut(cut)
        except StreamkeepError as caught:
            error = caught
        self._task = None
        then(error)

    async def _cut(self, cut: CutTo | BeginAnew) -> None:
        if self.is_gone:
            return
        if isinstance(cut, CutTo):
            await self._logs.truncate(self._log, cut.offset)
        else:
            await self._logs.begin_anew(self._log, cut.offset)
