"""Lets the sessions' clock run, and fences those whose time is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import Protocol

from streamkeep_common.errors import ShuttingDownError, StreamkeepError, TimedOutError
from streamkeep_common.seams import Clock
from streamkeep_coordinator.controller import Controller
from streamkeep_coordinator.metadata.brokers import fence_broker
from streamkeep_coordinator.sessions import TICK_S, Sessions, SessionTimes

FENCE_RETRY_S = 0.2

_logger = logging.getLogger(__name__)


class Stream(Protocol):
    """An open session stream, as far as the keeper must reach it."""

    def end(self, error: StreamkeepError) -> None:
        """Tell the broker why, and end."""
        ...


class SessionKeeper:
    """Owns the sessions and knows the open streams, by broker id."""

    def __init__(self, controller: Controller, clock: Clock, times: SessionTimes) -> None:
        self._controller = controller
        self._clock = clock
        self.sessions = Sessions(times, clock.monotonic())
        self.streams: dict[int, Stream] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._closed = False

    def start(self) -> None:
        """From now on this process judges. Brokers that are not fenced have the time to come back."""
        for broker in self._controller.image.brokers.values():
            if not broker.fenced:
                self.sessions.await_broker(
                    broker.broker_id, broker.broker_epoch, broker.registration.incarnation_id
                )
        self._spawn(self._run())

    async def close(self) -> None:
        """Judge nobody any more, and tell the brokers to look for another coordinator."""
        self._closed = True
        for stream in list(self.streams.values()):
            stream.end(ShuttingDownError())
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def fence_soon(self, broker_id: int, broker_epoch: int) -> None:
        """Fence a broker whose session is over, without waiting for it."""
        if not self._closed:
            self._spawn(self._fence(broker_id, broker_epoch))

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(TICK_S)
            for broker_id, broker_epoch in self.sessions.tick(self._clock.monotonic()):
                self._end_stream(broker_id)
                self.fence_soon(broker_id, broker_epoch)

    def _end_stream(self, broker_id: int) -> None:
        stream = self.streams.pop(broker_id, None)
        if stream is not None:
            stream.end(TimedOutError(f"broker {broker_id} was silent for longer than its session allows"))

    async def _fence(self, broker_id: int, broker_epoch: int) -> None:
        """Try until it is committed, or until the broker is back: nobody else would ever do it."""
        fence = partial(fence_broker, broker_id=broker_id, broker_epoch=broker_epoch)
        while self.sessions.state(broker_id) is None:
            try:
                done = await self._controller.execute(fence)
            except StreamkeepError as error:
                _logger.warning(
                    "broker %d at epoch %d cannot be fenced yet: %s", broker_id, broker_epoch, error
                )
                await self._clock.sleep(FENCE_RETRY_S)
                continue
            if done.answer:
                _logger.warning("broker %d at epoch %d is fenced", broker_id, broker_epoch)
            return

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
