"""Gives up a stream on which nothing was heard for too long. One timer a stream, none a message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streamkeep_broker.replication.heartbeats import SILENCE_S
from streamkeep_common.seams import Clock


class Silence:
    """Calls what `listen` is given when nothing was heard for `SILENCE_S`; then `reason` says so."""

    def __init__(self, clock: Clock) -> None:
        self.reason = ""
        self._clock = clock
        self._heard_at = clock.monotonic()
        self._timer: asyncio.TimerHandle | None = None

    def listen(self, give_up: Callable[[], None]) -> None:
        """From now on."""
        self._heard_at = self._clock.monotonic()
        self._arm(SILENCE_S, give_up)

    def heard(self) -> None:
        """Something was heard."""
        self._heard_at = self._clock.monotonic()

    def stop(self) -> None:
        """Listen no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, wait_s: float, give_up: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._look, give_up)

    def _look(self, give_up: Callable[[], None]) -> None:
        left_s = self._heard_at + SILENCE_S - self._clock.monotonic()
        if left_s > 0:
            self._arm(left_s, give_up)
        else:
            self.reason = f"the leader's broker was silent for {SILENCE_S} s"
            give_up()
