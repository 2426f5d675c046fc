"""The composition root: what a coordinator is made of, in which order it starts, and how it stops."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from functools import partial
from random import Random

from streamkeep_common.seams import Clock, Disk, Listener, Network, Worker, Workers
from streamkeep_common.server.metrics import Metrics
from streamkeep_common.settings import CoordinatorSettings
from streamkeep_coordinator.controller import Controller
from streamkeep_coordinator.images import Images
from streamkeep_coordinator.metadata.cluster import begin_term
from streamkeep_coordinator.metadata.create import TopicDefaults
from streamkeep_coordinator.metrics import CoordinatorMetrics
from streamkeep_coordinator.recovery import recover
from streamkeep_coordinator.services.admin import AdminService
from streamkeep_coordinator.services.metadata import MetadataService
from streamkeep_coordinator.services.session import SessionService
from streamkeep_coordinator.session_keeper import SessionKeeper
from streamkeep_coordinator.sessions import SessionTimes
from streamkeep_coordinator.single_voter import SingleVoter
from streamkeep_coordinator.snapshotter import Snapshotter
from streamkeep_coordinator.storage.directory import DataDirectory
from streamkeep_coordinator.storage.storage import Storage
from streamkeep_proto.v1.coordinator_pb2 import CoordinatorInfo
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry

_logger = logging.getLogger(__name__)

CLUSTER_ID_BYTES = 16


class Coordinator:
    """One coordinator process. `on_failure` is called with the error after which it cannot go on."""

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
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._disk = disk
        self._network = network
        self._workers = workers
        self._metrics = CoordinatorMetrics(metrics)
        self._on_failure = on_failure
        self._directory = DataDirectory(disk, settings.data_dir, rng)
        self._storage = Storage(disk, settings.data_dir)
        self._images: Images | None = None
        self._log_worker: Worker | None = None
        self._snapshot_worker: Worker | None = None
        self._voter: SingleVoter | None = None
        self._snapshotter: Snapshotter | None = None
        self._keeper: SessionKeeper | None = None
        self._listener: Listener | None = None

    @property
    def address(self) -> str:
        """host:port where it serves, once started."""
        assert self._listener is not None, "the coordinator has not started"
        return self._listener.address

    async def start(self) -> None:
        """Recover, begin a new term, judge sessions, serve.

        StreamkeepError says why the data directory cannot be used, OSError why the address cannot be had.
        """
        identity = self._directory.open(self._settings.id)
        if not identity.cluster_id:
            identity = self._directory.format(_new_cluster_id(self._rng), 1)
        images = self._images = Images(recover(self._storage), self._storage.last_term)
        controller = self._make_controller(images)
        await controller.execute(partial(begin_term, cluster_id=identity.cluster_id))
        _logger.info(
            "coordinator %d of cluster %s is active in term %d",
            identity.coordinator_id,
            identity.cluster_id,
            controller.term,
        )
        await self._serve(images, controller)

    async def stop(self) -> None:
        """Judge nobody, end the streams with a word, answer what is under way, leave the log in order."""
        if self._images is not None:
            self._images.feed.close()
        if self._keeper is not None:
            await self._keeper.close()
        if self._listener is not None:
            await self._listener.stop(self._settings.stop_timeout_ms / 1000)
        if self._voter is not None:
            await self._voter.close()
        if self._snapshotter is not None:
            await self._snapshotter.close()
        for worker in (self._snapshot_worker, self._log_worker):
            if worker is not None:
                await worker.close()
        self._storage.close()
        self._directory.close()

    def _make_controller(self, images: Images) -> Controller:
        self._log_worker = self._workers.start("metadata-log")
        self._snapshot_worker = self._workers.start("metadata-snapshot")
        snapshotter = self._snapshotter = Snapshotter(
            self._disk,
            self._settings.data_dir,
            self._storage,
            images,
            worker=self._snapshot_worker,
            log_worker=self._log_worker,
            after_entries=self._settings.snapshot_entries,
            on_failure=self._on_failure,
        )

        def on_commit(entry: MetadataEntry, size: int) -> None:
            images.commit(entry, size)
            snapshotter.committed(entry, size)

        self._voter = SingleVoter(
            self._storage, self._log_worker, self._clock, on_commit=on_commit, on_failure=self._on_failure
        )
        return Controller(images, self._voter, self._clock, on_latency=self._metrics.commit_seconds.observe)

    async def _serve(self, images: Images, controller: Controller) -> None:
        settings = self._settings
        times = SessionTimes(
            timeout_s=settings.session_timeout_ms / 1000,
            grace_s=settings.session_grace_ms / 1000,
            reopen_s=settings.session_reopen_ms / 1000,
        )
        keeper = self._keeper = SessionKeeper(controller, self._clock, times)
        self._metrics.watch(image=lambda: images.committed, open_sessions=lambda: keeper.sessions.open_count)
        sessions = SessionService(
            controller,
            keeper,
            self._clock,
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
        )
        defaults = TopicDefaults(
            partitions=settings.default_partitions,
            replication_factor=settings.default_replication_factor,
            min_insync_replicas=settings.default_min_insync_replicas,
        )
        services = [
            MetadataService(images, self._coordinators).service(),
            AdminService(controller, self._rng, defaults, self._coordinators).service(),
            sessions.service(),
        ]
        self._listener = await self._network.serve(settings.listen, services)
        keeper.start()

    def _coordinators(self) -> list[CoordinatorInfo]:
        """All there are: with one voter, this one."""
        address = self._settings.advertised or self.address
        return [CoordinatorInfo(coordinator_id=self._settings.id, address=address, active=True)]


def _new_cluster_id(rng: Random) -> str:
    """22 characters of URL-safe base64."""
    return base64.urlsafe_b64encode(rng.randbytes(CLUSTER_ID_BYTES)).rstrip(b"=").decode()
