"""What a coordinator does for the cluster while it is active: it judges brokers and keeps partitions led."""

from __future__ import annotations

import logging
from collections.abc import Callable

from streamkeep_common.errors import ShuttingDownError, StreamkeepError
from streamkeep_common.seams import Clock
from streamkeep_coordinator.consensus import Consensus
from streamkeep_coordinator.controller import Controller
from streamkeep_coordinator.leader_upkeep import LeaderUpkeep
from streamkeep_coordinator.session_keeper import SessionKeeper
from streamkeep_coordinator.sessions import SessionTimes

_logger = logging.getLogger(__name__)


class ActiveDuty:
    """Begins and ends with the activity of this coordinator: a session keeper and the upkeep of leaders, or
    neither. `on_failure` as in SessionKeeper.
    """

    def __init__(
        self,
        controller: Controller,
        consensus: Consensus,
        clock: Clock,
        times: SessionTimes,
        *,
        balance_s: float,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._controller = controller
        self._consensus = consensus
        self._clock = clock
        self._times = times
        self._balance_s = balance_s
        self._on_failure = on_failure
        self._keeper: SessionKeeper | None = None
        self._upkeep: LeaderUpkeep | None = None
        self._ended: list[SessionKeeper | LeaderUpkeep] = []

    @property
    def open_sessions(self) -> int:
        return 0 if self._keeper is None else self._keeper.sessions.open_count

    def keeper(self) -> SessionKeeper:
        """Who judges now. Raises `Controller.refusal` if this coordinator is not the one to judge."""
        if self._keeper is None:
            raise self._controller.refusal()
        return self._keeper

    def upkeep(self) -> LeaderUpkeep:
        """Who elects leaders of last resort now. Raises `Controller.refusal` as `keeper` does."""
        if self._upkeep is None:
            raise self._controller.refusal()
        return self._upkeep

    def begin(self) -> None:
        """This coordinator is active."""
        assert self._keeper is None, "it is on duty already"
        self._keeper = SessionKeeper(
            self._controller,
            self._clock,
            self._times,
            hand_on=self._hand_on,
            on_failure=self._on_failure,
        )
        self._upkeep = LeaderUpkeep(
            self._controller,
            self._clock,
            balance_s=self._balance_s,
            leaving=self._keeper.leaving,
            on_failure=self._on_failure,
        )
        self._keeper.start()
        self._upkeep.start()

    def end(self, error: StreamkeepError) -> None:
        """It is not any more, or never was."""
        if self._keeper is not None and self._upkeep is not None:
            self._keeper.end(error)
            self._upkeep.end()
            self._ended = [self._keeper, self._upkeep]
            self._keeper = self._upkeep = None

    async def close(self) -> None:
        """The coordinator stops."""
        self.end(ShuttingDownError())
        for ended in self._ended:
            await ended.wait_ended()

    def _hand_on(self) -> None:
        _logger.warning("no broker reaches this coordinator any more: another one is to be active")
        try:
            self._consensus.transfer()
        except StreamkeepError as error:
            _logger.warning("leadership cannot be handed on: %s", error)
