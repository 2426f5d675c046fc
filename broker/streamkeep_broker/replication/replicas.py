"""The replicas of one broker, put together: who hosts, who follows, who proposes, who reports."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Protocol

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.replication.coordinator import ActiveCoordinator
from streamkeep_broker.replication.following import replica as following
from streamkeep_broker.replication.following.following_replicas import FollowingReplicas
from streamkeep_broker.replication.following.link import Hello
from streamkeep_broker.replication.partition import Partition
from streamkeep_broker.replication.partitions import Partitions
from streamkeep_broker.replication.proposals import IsrProposer
from streamkeep_broker.replication.reports import ReplicaReports
from streamkeep_common.seams import Clock, Network
from streamkeep_common.settings import BrokerSettings

_logger = logging.getLogger(__name__)


class Observer(following.Observer, Protocol):
    """What replicas count."""

    def isr_updates_failed(self, count: int) -> None:
        """So many proposals of in-sync sets were not accepted."""
        ...


class Replicas:
    """See the module. `hello` is what this broker says to leaders; `on_heard` is called when a coordinator
    has heard a report."""

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        logs: LogManager,
        coordinator: ActiveCoordinator,
        network: Network,
        clock: Clock,
        rng: random.Random,
        hello: Hello,
        observer: Observer,
        on_heard: Callable[[], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._settings = settings
        self._logs = logs
        self._coordinator = coordinator
        self._clock = clock
        self._rng = rng
        self._on_failure = on_failure
        self.reports = self._make_reports(on_heard)
        self.following = FollowingReplicas(
            logs=logs,
            network=network,
            clock=clock,
            rng=rng,
            hello=hello,
            observer=observer,
            on_damaged=self.reports.damaged,
            on_failure=on_failure,
        )
        self.partitions = self._make_partitions()
        self.proposer = self._make_proposer(observer)

    def _make_reports(self, on_heard: Callable[[], None]) -> ReplicaReports:
        return ReplicaReports(
            broker_id=self._settings.id,
            coordinator=self._coordinator,
            clock=self._clock,
            rng=self._rng,
            on_may_copy_anew=self._may_copy_anew,
            on_heard=on_heard,
        )

    def _make_partitions(self) -> Partitions:
        return Partitions(
            logs=self._logs,
            clock=self._clock,
            broker_id=self._settings.id,
            replica_lag_ms=self._settings.replica_lag_ms,
            following=self.following,
            reports=self.reports,
            on_isr_due=self._isr_due,
            on_failure=self._on_failure,
        )

    def _make_proposer(self, observer: Observer) -> IsrProposer:
        return IsrProposer(
            self.partitions,
            broker_id=self._settings.id,
            coordinator=self._coordinator,
            clock=self._clock,
            rng=self._rng,
            on_failed=observer.isr_updates_failed,
        )

    def start(self) -> None:
        """Propose and report whenever there is a coordinator."""
        self.proposer.start(self._on_failure)
        self.reports.start(self._on_failure)

    async def stop(self, timeout_s: float) -> None:
        """Follow, propose and report nothing more. What a disk holds up for longer is left to recovery."""
        await self.proposer.stop()
        await self.reports.stop()
        await self.partitions.stop()
        try:
            async with asyncio.timeout(timeout_s):
                await self.following.stop()
        except TimeoutError:
            _logger.warning("not all replicas have stopped to follow within %s s", timeout_s)

    def session_opened(self) -> None:
        """Another coordinator may be active now."""
        self.proposer.session_opened()
        self.reports.session_opened()

    def _may_copy_anew(self, partition: Partition) -> None:
        self.partitions.may_copy_anew(partition)

    def _isr_due(self, partition: Partition) -> None:
        self.proposer.due(partition)
