"""Tasks that run while this coordinator is active: how they end, and what happens when one fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

_logger = logging.getLogger(__name__)


class DutyTasks:
    """`on_failure` gets an error that nobody foresaw, after which the duty, `name`, is done no more."""

    def __init__(self, name: str, on_failure: Callable[[Exception], None]) -> None:
        self._name = name
        self._on_failure = on_failure
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._has_ended = False

    def spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        """Nothing begins after `cancel`: who was waiting when the duty ended may ask for it still."""
        if self._has_ended:
            return
        task = asyncio.create_task(self._watched(work))
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    def cancel(self) -> None:
        """The duty has ended, and with it all that is under way."""
        self._has_ended = True
        for task in self._tasks:
            task.cancel()

    async def wait_ended(self) -> None:
        """After `cancel`: return when nothing is under way any more."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watched(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:
            _logger.exception("%s has failed", self._name)
            self._on_failure(error)
