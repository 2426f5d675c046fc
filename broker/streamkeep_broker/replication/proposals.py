"""Brings what leaders want of their in-sync sets to the active coordinator, and the outcomes back.

Partitions decide what to propose and what an outcome means; here is when they are asked, that all of them
share one call, and that there is never more than one call. Members that lag are looked for every LOOK_S,
members to add are proposed as soon as a partition says so.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from streamkeep_broker.replication.coordinator import (
    CALL_TIMEOUT_S,
    MAX_PARTITIONS_PER_CALL,
    ActiveCoordinator,
    CallLoop,
    check_answers,
)
from streamkeep_broker.replication.leadership import Leadership
from streamkeep_broker.replication.partition import Partition
from streamkeep_common.errors import (
    NotActiveError,
    NotInitializedError,
    StaleBrokerEpochError,
    StreamkeepError,
    from_proto,
    raise_if_error,
)
from streamkeep_common.methods import ALTER_PARTITIONS
from streamkeep_common.seams import Clock
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import (
    AlteredPartition,
    AlterPartition,
    AlterPartitionsRequest,
)

LOOK_S = 0.5
"""Between looks at whether a replica lags. A refused proposal waits for the next look: every acknowledgement
could cause it again, and they come by the thousand."""

PARTITIONS_PER_TURN = 200
"""Looked at before other work of the event loop has its turn."""

_NOTHING_HAPPENED = (NotActiveError, NotInitializedError, StaleBrokerEpochError)
"""Refusals of a whole call that say so."""

_logger = logging.getLogger(__name__)


class Proposal(NamedTuple):
    """What one leadership asks for its partition."""

    partition: Partition
    leadership: Leadership
    message: AlterPartition

    @property
    def is_current(self) -> bool:
        """It leads still: only then does the outcome concern anybody."""
        return self.partition.leadership is self.leadership


class IsrProposer:
    """See the module. `on_failed` is called with the number of proposals that a call did not get accepted."""

    def __init__(
        self,
        partitions: Iterable[Partition],
        *,
        broker_id: int,
        coordinator: ActiveCoordinator,
        clock: Clock,
        rng: random.Random,
        on_failed: Callable[[int], None],
    ) -> None:
        self._partitions = partitions
        self._broker_id = broker_id
        self._coordinator = coordinator
        self._clock = clock
        self._on_failed = on_failed
        self._due: dict[Partition, None] = {}
        self._refused_at: dict[Partition, int] = {}
        self._look_at = 0.0
        self._loop = CallLoop(clock, rng)

    def start(self, on_failure: Callable[[Exception], None]) -> None:
        """Propose from now on."""
        self._loop.start(self._run(), on_failure)

    async def stop(self) -> None:
        """Propose nothing more; the outcome of a call under way stays unknown."""
        await self._loop.stop()

    def due(self, partition: Partition) -> None:
        """The partition wants another in-sync set now."""
        if self._refused_at.get(partition) != partition.partition_epoch:
            self._due[partition] = None
            self._loop.wake()

    def session_opened(self) -> None:
        """Another coordinator may be active: what could not be said to the last one is said to it."""
        self._loop.wake()

    async def _run(self) -> None:
        while True:
            await self._loop.wait(max(0.0, self._look_at - self._clock.monotonic()))
            if self._clock.monotonic() >= self._look_at:
                await self._look()
            if self._due and self._coordinator.is_open:
                await self._propose()
                self._loop.wake()

    async def _look(self) -> None:
        self._look_at = self._clock.monotonic() + LOOK_S
        self._refused_at.clear()
        for number, partition in enumerate(list(self._partitions), start=1):
            leadership = partition.leadership
            if leadership is not None and leadership.wanted_isr(self._clock.monotonic()) is not None:
                self._due[partition] = None
            if number % PARTITIONS_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _propose(self) -> None:
        """One call for as many as go into it. A failed one is followed by a pause."""
        proposals = self._take()
        if not proposals:
            return
        try:
            outcomes = await self._call(proposals)
        except StreamkeepError as error:
            _logger.info("no coordinator took %d proposals of in-sync sets: %s", len(proposals), error)
            self._on_failed(len(proposals))
            self._settle_failed(proposals, error)
            await self._loop.pause()
            return
        self._loop.succeeded()
        for proposal, outcome in zip(proposals, outcomes, strict=True):
            self._settle(proposal, outcome)

    def _take(self) -> list[Proposal]:
        taken: list[Proposal] = []
        while self._due and len(taken) < MAX_PARTITIONS_PER_CALL:
            partition = next(iter(self._due))
            del self._due[partition]
            leadership = partition.leadership
            members = None if leadership is None else leadership.wanted_isr(self._clock.monotonic())
            if leadership is None or members is None:
                continue
            leadership.isr_proposed(members)
            message = AlterPartition(
                topic_id=partition.log.topic_id,
                partition=partition.log.partition,
                leader_epoch=leadership.leader_epoch,
                partition_epoch=partition.partition_epoch,
                isr=members,
            )
            taken.append(Proposal(partition, leadership, message))
        return taken

    async def _call(self, proposals: Sequence[Proposal]) -> Sequence[AlteredPartition]:
        request = AlterPartitionsRequest(
            broker_id=self._broker_id,
            broker_epoch=self._coordinator.broker_epoch,
            partitions=[proposal.message for proposal in proposals],
        )
        response = await self._coordinator.call(ALTER_PARTITIONS, request, timeout_s=CALL_TIMEOUT_S)
        raise_if_error(response.error)
        check_answers(request.partitions, response.outcomes)
        return response.outcomes

    def _settle_failed(self, proposals: Sequence[Proposal], error: StreamkeepError) -> None:
        for proposal in proposals:
            if not proposal.is_current:
                continue
            if isinstance(error, _NOTHING_HAPPENED):
                proposal.leadership.isr_refused()
            else:
                proposal.leadership.isr_unknown()
            self._due[proposal.partition] = None

    def _settle(self, proposal: Proposal, outcome: AlteredPartition) -> None:
        """What was accepted is settled by the image that it leads to; what was refused waits for a look."""
        if outcome.error.code == errors_pb2.NONE:
            return
        partition = proposal.partition
        self._on_failed(1)
        _logger.info("the in-sync set of %s stays: %s", partition.name, from_proto(outcome.error))
        if proposal.is_current:
            self._refused_at[partition] = partition.partition_epoch
            self._due.pop(partition, None)
            proposal.leadership.isr_refused()
