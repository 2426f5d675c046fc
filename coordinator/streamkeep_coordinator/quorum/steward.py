"""Keeps the quorum as it should be while this coordinator is active, and changes it when operators ask.

What is due is decided by `membership`; one change is made at a time, each through the controller, like
everything else that the active coordinator proposes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from streamkeep_common.errors import (
    InvalidQuorumChangeError,
    NotActiveError,
    StreamkeepError,
    TimedOutError,
    UnavailableError,
    UnsupportedFeatureError,
)
from streamkeep_common.image import QUORUM_FEATURE_LEVEL, ClusterImage
from streamkeep_common.seams import Clock, Network
from streamkeep_coordinator.metadata import Command, Decision
from streamkeep_coordinator.quorum.bootstrap import Bootstrap, as_member, probe_member
from streamkeep_coordinator.quorum.describe import describe_quorum
from streamkeep_coordinator.quorum.driver import Driver
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_coordinator.quorum.membership import View, next_change, with_learner, without
from streamkeep_coordinator.quorum.neighbours import Neighbours
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord, QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import CoordinatorAddress, DescribeQuorumResponse, ProbeResponse

LOOK_S = 0.1
TRANSFER_TIMEOUT_S = 5.0

_logger = logging.getLogger(__name__)

Execute = Callable[[Command[None]], Awaitable[object]]
Change = Callable[[QuorumRecord], QuorumRecord]


class Steward:
    """The QuorumControl of a coordinator. `image` gives what is committed."""

    def __init__(
        self,
        driver: Driver,
        local: LocalCoordinator,
        neighbours: Neighbours,
        bootstrap: Bootstrap,
        *,
        network: Network,
        clock: Clock,
        image: Callable[[], ClusterImage],
        election_ticks: int,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._driver = driver
        self._local = local
        self._neighbours = neighbours
        self._bootstrap = bootstrap
        self._network = network
        self._clock = clock
        self._execute: Execute | None = None
        self._image = image
        self._election_ticks = election_ticks
        self._on_failure = on_failure
        self._changing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    # --- for operators ---

    def describe(self) -> DescribeQuorumResponse:
        troubles = self._neighbours.troubles(self._driver.node.log.quorum)
        return describe_quorum(self._driver, self._local, troubles, self._election_ticks)

    async def initialize(self, members: Sequence[CoordinatorAddress]) -> str:
        return await self._bootstrap.initialize(members)

    async def add(self, coordinator: CoordinatorAddress) -> None:
        self._check_active()
        answer = await self._who_is_at(coordinator)
        identity = self._local.identity
        if answer.cluster_id and (answer.cluster_id, answer.cluster_epoch) != (
            identity.cluster_id,
            identity.cluster_epoch,
        ):
            raise InvalidQuorumChangeError(
                f"coordinator {answer.coordinator_id} belongs to cluster {answer.cluster_id} in epoch "
                f"{answer.cluster_epoch}: give it an empty data_dir"
            )
        level = self._image().feature_level
        if not answer.min_feature_level <= level <= answer.max_feature_level:
            raise UnsupportedFeatureError(
                f"coordinator {answer.coordinator_id} supports feature levels {answer.min_feature_level} to "
                f"{answer.max_feature_level}, and the cluster works at {level}"
            )
        learner = as_member(answer, coordinator, voter=False)
        await self._change(lambda quorum: with_learner(quorum, learner))

    async def remove(self, coordinator_id: int) -> None:
        await self._change(lambda quorum: without(quorum, coordinator_id))

    async def transfer_to(self, coordinator_id: int, timeout_s: float = TRANSFER_TIMEOUT_S) -> None:
        if coordinator_id == self._local.id and self._driver.is_active:
            return
        self._driver.transfer(coordinator_id)
        term = self._driver.term
        ends_at = self._clock.monotonic() + timeout_s
        while self._driver.term == term or not self._driver.active_id:
            is_given_up = self._driver.is_active and not self._driver.node.status().transfer_target
            if is_given_up or self._clock.monotonic() >= ends_at:
                raise TimedOutError("leadership is still here: the other voter did not take it")
            await self._clock.sleep(LOOK_S / 10)

    async def _who_is_at(self, coordinator: CoordinatorAddress) -> ProbeResponse:
        """UnavailableError would send the caller to another coordinator, where the address is no better."""
        try:
            return await probe_member(self._network, coordinator)
        except UnavailableError as error:
            raise InvalidQuorumChangeError(error.message) from None

    # --- by itself ---

    def start(self, execute: Execute) -> None:
        """Look after the quorum from now on. `execute` is the controller's."""
        self._execute = execute
        self._task = asyncio.create_task(self._run(), name="quorum-steward")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while True:
                await self._clock.sleep(LOOK_S)
                if self._driver.is_active:
                    await self._look_after()
        except Exception as error:  # a quorum that nobody looks after would stay broken in silence
            self._on_failure(error)

    async def _look_after(self) -> None:
        change = self._due()
        if change is None:
            return
        try:
            async with self._changing:
                await self._commit(change)
        except StreamkeepError as error:
            _logger.warning("the quorum is not changed yet: %s", error)

    def _due(self) -> QuorumRecord | None:
        image, log = self._image(), self._driver.node.log
        if image.feature_level < QUORUM_FEATURE_LEVEL or self._changing.locked():
            return None
        if image.quorum is None:
            return self._first_quorum()
        if log.quorum is None or log.quorum_index > self._driver.applied_index:
            return None
        status = self._driver.node.status()
        if status.transfer_target:
            return None
        return next_change(
            View(
                quorum=log.quorum,
                status=status,
                own=self._local.member(voter=True),
                greetings=self._neighbours.greetings,
                strangers=self._neighbours.strangers(log.quorum),
                feature_level=image.feature_level,
                election_ticks=self._election_ticks,
            )
        )

    def _first_quorum(self) -> QuorumRecord:
        """After an upgrade from a version whose only coordinator was the only voter."""
        own = [self._local.member(voter=True)]
        return QuorumRecord(cluster_epoch=self._local.identity.cluster_epoch, members=own)

    async def _change(self, change: Change) -> None:
        """Commit what `change` makes of the quorum."""
        self._check_active()
        if self._image().feature_level < QUORUM_FEATURE_LEVEL:
            raise InvalidQuorumChangeError(
                f"the cluster works at feature level {self._image().feature_level}, with a quorum from "
                f"level {QUORUM_FEATURE_LEVEL} on: raise it with `streamctl cluster upgrade`"
            )
        async with self._changing:
            self._check_active()
            if self._image().quorum is None:
                await self._commit(self._first_quorum())
            quorum = self._driver.node.log.quorum
            assert quorum is not None, "the image has a quorum, so the log has one"
            await self._commit(change(quorum))

    async def _commit(self, quorum: QuorumRecord) -> None:
        assert self._execute is not None, "it has not started"
        before = self._driver.node.log.quorum

        def decide(_: ClusterImage) -> Decision[None]:
            return Decision((MetadataRecord(quorum=quorum),), None)

        await self._execute(decide)
        _logger.info("the quorum is %s; it was %s", _names(quorum), _names(before))

    def _check_active(self) -> None:
        if not self._driver.is_active:
            raise NotActiveError(
                "this coordinator is not the active one", active_address=self._driver.active_address
            )


def _names(quorum: QuorumRecord | None) -> str:
    members: Sequence[QuorumMember] = () if quorum is None else quorum.members
    return ", ".join(
        f"{each.coordinator_id}/{each.directory_id.hex()[:8]}{'' if each.voter else ' (learner)'}"
        for each in members
    )
