"""The composition root: what a coordinator is made of, in which order it starts, and how it stops."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from random import Random

from streamkeep_common.errors import InvalidSettingError
from streamkeep_common.seams import Clock, Disk, Listener, Network, Service, Worker, Workers
from streamkeep_common.server.metrics import Metrics
from streamkeep_common.server.settings_service import settings_service
from streamkeep_common.settings import COORDINATOR_SETTINGS, CoordinatorSettings, Origin
from streamkeep_coordinator.active_duty import ActiveDuty
from streamkeep_coordinator.controller import Controller
from streamkeep_coordinator.images import Images
from streamkeep_coordinator.metadata.create import TopicDefaults
from streamkeep_coordinator.metrics import CoordinatorMetrics
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_coordinator.quorum.shell import InitialMembers, QuorumShell, QuorumTimes, Surroundings
from streamkeep_coordinator.raft import LostEntriesError
from streamkeep_coordinator.recovery import Found, may_found, recover
from streamkeep_coordinator.services.admin import AdminService
from streamkeep_coordinator.services.describe import Describer
from streamkeep_coordinator.services.metadata import MetadataService
from streamkeep_coordinator.services.quorum import QuorumService
from streamkeep_coordinator.services.session import SessionService
from streamkeep_coordinator.sessions import SessionTimes
from streamkeep_coordinator.snapshotter import Snapshotter
from streamkeep_coordinator.state_machine import MetadataMachine
from streamkeep_coordinator.storage.directory import DataDirectory
from streamkeep_coordinator.storage.storage import Storage

_logger = logging.getLogger(__name__)

MIN_HEARTBEATS_PER_TIMEOUT = 4
HAND_OVER_S = 0.5
"""How long a coordinator that stops waits for another one to become active: much longer than it takes."""
ALONE_S = 2.0
"""How long the one voter of a cluster may take to become active before `start` returns all the same."""


class Coordinator:
    """One coordinator process. `on_failure` is called with the error after which it cannot go on. `origins`
    says of settings that are not left at their default where they come from, for those who ask."""

    def __init__(
        self,
        settings: CoordinatorSettings,
        *,
        clock: Clock,
        rng: Random,
        disk: Disk,
        network: Network,
        workers: Workers,
        metrics: Metrics,
        on_failure: Callable[[Exception], None],
        origins: Mapping[str, Origin] | None = None,
    ) -> None:
        self._settings = settings
        self._origins = origins or {}
        self._clock = clock
        self._rng = rng
        self._disk = disk
        self._network = network
        self._workers = workers
        self._metrics = CoordinatorMetrics(metrics)
        self._tell_failure = on_failure
        self._lost: LostEntriesError | None = None
        self._directory = DataDirectory(disk, settings.data_dir, rng)
        self._started: list[Worker] = []
        self._storage: Storage | None = None
        self._images: Images | None = None
        self._quorum: QuorumShell | None = None
        self._duty: ActiveDuty | None = None
        self._snapshotter: Snapshotter | None = None
        self._listener: Listener | None = None

    @property
    def address(self) -> str:
        """host:port where it serves, once started."""
        assert self._listener is not None, "the coordinator has not started"
        return self._listener.address

    async def start(self) -> None:
        """Recover, serve, take part in the quorum. Whether there is one, and who is active, shows later; only
        the one voter of a cluster waits until it is active.

        StreamkeepError says why the data directory cannot be used, OSError why the address cannot be had.
        """
        settings = self._settings
        found = recover(self._disk, self._directory, settings.id, settings.advertised or settings.listen)
        self._storage = found.storage
        images = self._images = Images(found.image, found.image_term)
        quorum = self._quorum = self._make_quorum(found, images)
        controller = Controller(
            images, quorum.driver, self._clock, on_latency=self._metrics.commit_seconds.observe
        )
        duty = self._duty = self._make_duty(controller, quorum)
        snapshotter = self._snapshotter = self._make_snapshotter(found.storage, images, quorum)
        machine = MetadataMachine(
            images,
            controller,
            duty,
            on_commit=snapshotter.committed,
            on_activate=self._metrics.activations.inc,
            on_elected=lambda kind: self._metrics.elections.labels(kind.value).inc(),
        )
        services = self._services(images, controller, quorum, duty)
        self._listener = await self._network.serve(settings.listen, services)
        quorum.local.address = self._own_address(self._listener.address)
        self._metrics.watch_image(lambda: images.committed, lambda: duty.open_sessions)
        self._metrics.watch_quorum(quorum.driver, quorum.steward, role=lambda: quorum.driver.node.role.value)
        quorum.start(machine, controller.execute, self._initial_members(found))
        await quorum.settle(ALONE_S)

    async def stop(self) -> None:
        """Hand leadership on, judge nobody, end the streams with a word, answer what is under way."""
        if self._quorum is not None:
            await self._quorum.hand_over(HAND_OVER_S)
        if self._images is not None:
            self._images.feed.close()
        if self._duty is not None:
            await self._duty.close()
        if self._quorum is not None:
            self._quorum.hang_up()
        if self._listener is not None:
            await self._listener.stop(self._settings.stop_timeout_ms / 1000)
        if self._quorum is not None:
            await self._quorum.stop()
        if self._snapshotter is not None:
            await self._snapshotter.close()
        for worker in self._started:
            await worker.close()
        if self._storage is not None:
            self._storage.close()
        if self._lost is not None:
            _logger.error("the data of coordinator %d are put aside as damaged", self._settings.id)
            self._directory.quarantine(str(self._lost))
        self._directory.close()

    def _make_quorum(self, found: Found, images: Images) -> QuorumShell:
        settings = self._settings
        self._log_worker = self._start_worker("metadata-log")
        self._snapshot_worker = self._start_worker("metadata-snapshot")
        return QuorumShell(
            LocalCoordinator(found.identity, "", trouble=found.trouble),
            found.log,
            found.hard_state,
            _quorum_times(settings),
            Surroundings(
                directory=self._directory,
                storage=found.storage,
                disk=self._disk,
                network=self._network,
                clock=self._clock,
                rng=self._rng,
                log_worker=self._log_worker,
                snapshot_worker=self._snapshot_worker,
                image=lambda: (images.committed, images.committed_term),
                on_failure=self._on_failure,
            ),
        )

    def _make_duty(self, controller: Controller, quorum: QuorumShell) -> ActiveDuty:
        times = SessionTimes(
            timeout_s=self._settings.session_timeout_ms / 1000,
            grace_s=self._settings.session_grace_ms / 1000,
            reopen_s=self._settings.session_reopen_ms / 1000,
        )
        return ActiveDuty(
            controller,
            quorum.driver,
            self._clock,
            times,
            balance_s=self._settings.leader_balance_ms / 1000,
            on_failure=self._on_failure,
        )

    def _make_snapshotter(self, storage: Storage, images: Images, quorum: QuorumShell) -> Snapshotter:
        return Snapshotter(
            self._disk,
            self._settings.data_dir,
            storage,
            images,
            worker=self._snapshot_worker,
            log_worker=self._log_worker,
            after_entries=self._settings.snapshot_entries,
            compact=quorum.driver.compact,
            on_failure=self._on_failure,
        )

    def _services(
        self, images: Images, controller: Controller, quorum: QuorumShell, duty: ActiveDuty
    ) -> list[Service]:
        settings = self._settings
        describer = Describer(quorum.driver, settings.id, lambda: quorum.local.address)
        sessions = SessionService(
            controller,
            quorum.driver,
            duty,
            self._clock,
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
        )
        defaults = TopicDefaults(
            partitions=settings.default_partitions,
            replication_factor=settings.default_replication_factor,
            min_insync_replicas=settings.default_min_insync_replicas,
        )
        return [
            MetadataService(images, controller, quorum.driver, describer).service(),
            AdminService(controller, quorum.driver, describer, self._rng, defaults).service(),
            sessions.service(),
            quorum.service(),
            QuorumService(quorum.steward, quorum.driver).service(),
            settings_service(COORDINATOR_SETTINGS, settings, self._origins),
        ]

    def _own_address(self, listening: str) -> str:
        """Where others reach this coordinator; empty = as those say who named it (it listens everywhere)."""
        named = dict(self._settings.initial_members).get(self._settings.id, "")
        is_wildcard = listening.rpartition(":")[0] in ("0.0.0.0", "[::]")  # noqa: S104 - only looked at
        return self._settings.advertised or named or ("" if is_wildcard else listening)

    def _initial_members(self, found: Found) -> InitialMembers:
        """Those of the setting, unless this directory may be what is left of a cluster."""
        members = self._settings.initial_members
        if not members or found.identity.cluster_id or may_found(self._disk, self._settings.data_dir):
            return members
        _logger.warning(
            "coordinator %d has lost its data and founds no cluster by itself: it waits for the others to "
            "let it in, for `streamctl quorum add`, or for `streamctl cluster init`",
            self._settings.id,
        )
        return ()

    def _on_failure(self, error: Exception) -> None:
        """Started again as it is, a directory that lost something would only fail again; as an empty one it
        is let in again by the others.
        """
        if isinstance(error, LostEntriesError):
            self._lost = error
        self._tell_failure(error)

    def _start_worker(self, name: str) -> Worker:
        worker = self._workers.start(name)
        self._started.append(worker)
        return worker


def _quorum_times(settings: CoordinatorSettings) -> QuorumTimes:
    """InvalidSettingError if a heartbeat or two that come late would already cause an election."""
    if settings.election_timeout_ms < MIN_HEARTBEATS_PER_TIMEOUT * settings.raft_heartbeat_ms:
        raise InvalidSettingError(
            f"election_timeout_ms is {settings.election_timeout_ms}: it has to be at least "
            f"{MIN_HEARTBEATS_PER_TIMEOUT} times raft_heartbeat_ms, which is {settings.raft_heartbeat_ms}"
        )
    return QuorumTimes(settings.raft_heartbeat_ms, settings.election_timeout_ms)
