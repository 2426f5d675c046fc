"""Elections that nobody asks for, while this coordinator is active: those of last resort, once all who can be
asked have said how far their logs go, and those that give leadership back to preferred replicas.

As with sessions, nothing of one time as the active coordinator reaches the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import islice

from streamkeep_common.errors import StreamkeepError
from streamkeep_common.image import ClusterImage
from streamkeep_common.seams import Clock
from streamkeep_coordinator.controller import Controller
from streamkeep_coordinator.duty_tasks import DutyTasks
from streamkeep_coordinator.metadata.elect_leaders import balance_leaders, unbalanced
from streamkeep_coordinator.metadata.last_resort import Key, LastResort, Winner, elect_winners
from streamkeep_proto.v1.coordinator_pb2 import ReportReplicasRequest, ReportReplicasResponse

LOOK_S = 0.1
"""Between looks at whether those who have the most are up."""

MAX_ELECTIONS_PER_PASS = 1_000

PARTITIONS_IN_ONE_GO = 5_000
"""Some 5 ms' worth of looking; then other work has its turn."""

_logger = logging.getLogger(__name__)


class LeaderUpkeep:
    """`leaving` are the brokers that want to stop at each moment. `on_failure` as in DutyTasks."""

    def __init__(
        self,
        controller: Controller,
        clock: Clock,
        *,
        balance_s: float,
        leaving: Collection[int],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._controller = controller
        self._clock = clock
        self._balance_s = balance_s
        self._leaving = leaving
        self._last_resort = LastResort()
        self._is_looking = False
        self._looked_at: ClusterImage | None = None
        self._tasks = DutyTasks("electing leaders", on_failure)

    def start(self) -> None:
        self._tasks.spawn(self._keep_balanced)

    def end(self) -> None:
        """This coordinator is not active any more."""
        self._tasks.cancel()

    async def wait_ended(self) -> None:
        """After `end`: return when nothing is under way any more."""
        await self._tasks.wait_ended()

    def hear(self, request: ReportReplicasRequest, response: ReportReplicasResponse) -> None:
        """Reports, and which of them were heard."""
        for report, outcome in zip(request.replicas, response.outcomes, strict=True):
            if not report.damaged and not outcome.HasField("error"):
                self._last_resort.hear(request.broker_id, request.broker_epoch, report)
                self._looked_at = None
        if self._last_resort.is_waiting and not self._is_looking:
            self._is_looking = True
            self._tasks.spawn(self._elect_winners)

    async def _elect_winners(self) -> None:
        """Until no partition waits for a leader of last resort."""
        while self._last_resort.is_waiting:
            winners = self._news()
            if winners:
                await self._try(partial(self._elect, winners))
            await self._clock.sleep(LOOK_S)
        self._is_looking = False

    def _news(self) -> dict[Key, Winner]:
        """As many as go into one pass. Only what was looked at in vain is not looked at again: a report or
        another image is needed for a winner, and an election may fail.
        """
        image = self._controller.image
        if image is self._looked_at:
            return {}
        winners = dict(islice(self._last_resort.winners(image).items(), MAX_ELECTIONS_PER_PASS))
        if not winners:
            self._looked_at = image
        return winners

    async def _elect(self, winners: Mapping[Key, Winner]) -> None:
        done = await self._controller.execute(partial(elect_winners, winners=winners))
        if done.answer:
            _logger.warning("%d partitions are led by the replica whose log goes furthest", done.answer)

    async def _keep_balanced(self) -> None:
        while True:
            await self._clock.sleep(self._balance_s)
            partitions = await self._unbalanced()
            if partitions:
                await self._try(partial(self._balance, partitions))

    async def _unbalanced(self) -> list[Key]:
        """As many as go into one pass."""
        image = self._controller.image
        found: list[Key] = []
        seen = 0
        for topic in image.topics.values():
            found += [
                (each.topic_id, each.partition) for each in unbalanced(image, topic, leaving=self._leaving)
            ]
            if len(found) >= MAX_ELECTIONS_PER_PASS:
                break
            seen += len(topic.partitions)
            if seen >= PARTITIONS_IN_ONE_GO:
                seen = 0
                await asyncio.sleep(0)
        return found[:MAX_ELECTIONS_PER_PASS]

    async def _balance(self, partitions: Sequence[Key]) -> None:
        command = partial(balance_leaders, partitions=partitions, leaving=self._leaving)
        done = await self._controller.execute(command)
        _logger.info("%d partitions are led by their preferred replicas again", done.answer)

    async def _try(self, elect: Callable[[], Awaitable[None]]) -> None:
        """What cannot be done now is looked at again."""
        try:
            await elect()
        except StreamkeepError as error:
            _logger.warning("leaders cannot be elected now: %s", error)
