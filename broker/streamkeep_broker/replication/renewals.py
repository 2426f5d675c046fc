"""Damaged replicas that others can replace: their files are quarantined, and they begin again from nothing.

That waits until the image says that this broker neither leads the partition nor is counted on in it, and that
another broker leads: until then what is left here may be needed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.readable_log import Key
from streamkeep_broker.streams import cancel, run_watched
from streamkeep_common.errors import StreamkeepError
from streamkeep_common.image import PartitionImage
from streamkeep_common.seams import Clock

RETRY_S = 5.0
"""After an error that may end by itself, such as a full disk, or too many open files."""

_logger = logging.getLogger(__name__)


class Renewals:
    """See the module.

    `on_renewed` is called with the topic id and number of each partition whose log is empty now, then
    `on_end`; only the latter if its log is gone, or its directory offline. What keeps a log from being
    quarantined otherwise is waited for. Nobody else may touch a log that `is_busy`.
    """

    def __init__(
        self,
        logs: LogManager,
        *,
        clock: Clock,
        broker_id: int,
        on_renewed: Callable[[Key], None],
        on_end: Callable[[Key], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._logs = logs
        self._clock = clock
        self._broker_id = broker_id
        self._on_renewed = on_renewed
        self._on_end = on_end
        self._on_failure = on_failure
        self._allowed: dict[Key, None] = {}
        self._under_way: dict[Key, asyncio.Task[None]] = {}

    def allow(self, key: Key) -> None:
        """Others have the data of this damaged replica. It may be said again while that is quarantined."""
        if key not in self._under_way:
            self._allowed[key] = None

    def forget(self, key: Key) -> None:
        """The replica is not here any more."""
        self._allowed.pop(key, None)

    def is_busy(self, key: Key) -> bool:
        """The log is being quarantined."""
        return key in self._under_way

    def is_due(self, image: PartitionImage) -> bool:
        """The replica may be dropped, and nothing hangs on it any more."""
        return (
            (image.topic_id, image.partition) in self._allowed
            and image.leader not in (0, self._broker_id)
            and self._broker_id not in (*image.isr, *image.elr)
        )

    def begin(self, log: PartitionLog) -> None:
        """Quarantine the log; nobody may read, write or follow it any more."""
        key = log.key
        del self._allowed[key]
        task = run_watched(self._renew(log), self._on_failure)
        self._under_way[key] = task
        task.add_done_callback(partial(self._ended, key))

    async def stop(self) -> None:
        """What is not done is left to the next start."""
        for task in list(self._under_way.values()):
            await cancel(task)

    async def _renew(self, log: PartitionLog) -> None:
        _logger.warning("%s is damaged here: it is quarantined and copied anew", log.name)
        while not self._is_gone(log):
            try:
                await self._logs.quarantine(log)
            except StreamkeepError as error:
                _logger.error("%s could not be quarantined: %s", log.name, error)
                await self._clock.sleep(RETRY_S)
            else:
                self._on_renewed(log.key)
                return

    def _is_gone(self, log: PartitionLog) -> bool:
        """It was deleted or set aside meanwhile, or its disk failed for ever."""
        is_here = self._logs.get(*log.key) is log
        return not is_here or self._logs.directory_of(log).is_offline

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        del self._under_way[key]
        if not task.cancelled() and task.exception() is None:
            self._on_end(key)
