"""Judges brokers while this coordinator is active: lets the sessions' clock run, fences whose time is over.

There is a keeper for each time that the coordinator is active, and nothing of one reaches the next: whoever
becomes active later gives every broker the time to come to it, and decides from what it has seen itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from streamkeep_common.errors import StreamkeepError, TimedOutError
from streamkeep_common.seams import Clock
from streamkeep_coordinator.controller import Controller
from streamkeep_coordinator.duty_tasks import DutyTasks
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
    """Owns the sessions and knows the open streams, by broker id, and the brokers that want to stop.

    `hand_on` is called when this coordinator is deserted: it is to pass leadership on if it can. `on_failure`
    gets an error that nobody foresaw, after which nobody would be judged any more.
    """

    def __init__(
        self,
        controller: Controller,
        clock: Clock,
        times: SessionTimes,
        *,
        hand_on: Callable[[], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._controller = controller
        self._clock = clock
        self._hand_on = hand_on
        self.sessions = Sessions(times, clock.monotonic())
        self.streams: dict[int, Stream] = {}
        self.leaving: dict[int, None] = {}
        self.ended_by: StreamkeepError | None = None
        self._tasks = DutyTasks("judging the brokers", on_failure)

    def start(self) -> None:
        """From now on this process judges. Brokers that are not fenced have the time to come."""
        for broker in self._controller.image.brokers.values():
            if not broker.fenced:
                self.sessions.await_broker(
                    broker.broker_id, broker.broker_epoch, broker.registration.incarnation_id
                )
        self._tasks.spawn(self._run)

    def end(self, error: StreamkeepError) -> None:
        """Judge nobody any more; the brokers are told why, and look for another coordinator."""
        self.ended_by = error
        for stream in list(self.streams.values()):
            stream.end(error)
        self._tasks.cancel()

    async def wait_ended(self) -> None:
        """After `end`: return when nothing is under way any more."""
        await self._tasks.wait_ended()

    def fence_soon(self, broker_id: int, broker_epoch: int) -> None:
        """Fence a broker whose session is over, without waiting for it."""
        self._tasks.spawn(partial(self._fence, broker_id, broker_epoch))

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(TICK_S)
            now = self._clock.monotonic()
            for broker_id, broker_epoch in self.sessions.tick(now):
                self._end_stream(broker_id)
                self.fence_soon(broker_id, broker_epoch)
            if self.sessions.is_deserted(now):
                self._hand_on()

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
