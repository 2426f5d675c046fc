"""The broker, put together: what it is made of, in which order that starts, and the reverse on stop."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

from streamkeep_broker.log.directory import LogDirectory
from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.metadata.session import Session
from streamkeep_broker.metadata.watch import MetadataWatch
from streamkeep_broker.metrics import BrokerMetrics
from streamkeep_broker.replication.replicas import Replicas
from streamkeep_broker.services.budget import Budget
from streamkeep_broker.services.fetch import FetchService
from streamkeep_broker.services.log_dirs import LogDirsService
from streamkeep_broker.services.offsets import OffsetsService
from streamkeep_broker.services.produce import ProduceService
from streamkeep_broker.services.producers import ProducersService
from streamkeep_broker.services.replica_hashes import ReplicaHashesService
from streamkeep_broker.services.replicate import ReplicateService
from streamkeep_broker.services.service import broker_service, replication_service
from streamkeep_broker.streams import Bell
from streamkeep_common.coordinators import CoordinatorAddresses
from streamkeep_common.errors import ShuttingDownError, to_proto
from streamkeep_common.image import MAX_FEATURE_LEVEL, MIN_FEATURE_LEVEL, ImageDelta
from streamkeep_common.limits import ID_BYTES
from streamkeep_common.seams import Clock, Disk, Listener, Network, Service, Workers
from streamkeep_common.server.metrics import Metrics
from streamkeep_common.server.settings_service import settings_service
from streamkeep_common.settings import BROKER_SETTINGS, BrokerSettings, Origin
from streamkeep_proto.v1.broker_pb2 import ONLINE, Closing
from streamkeep_proto.v1.coordinator_pb2 import BrokerHeartbeat, BrokerRegistered, RegisterBroker
from streamkeep_proto.v1.replication_pb2 import FollowerHello

LEAVE_TIMEOUT_S = 0.5
"""Leaders move within some milliseconds and are served until they have moved, so nobody waits for this. It is
for when no coordinator is active: writes then stall until one is, whatever this broker does."""

MOVED_TIMEOUT_S = 0.1
"""What a coordinator has moved is in the own image some milliseconds later. What is not by then it has not
moved: those who could lead want to stop, too."""

DAMAGE_PATIENCE_S = 2.0
"""For so long a broker with damaged replicas stays fenced until a coordinator has heard of them: else one of
them might be elected meanwhile."""

_logger = logging.getLogger(__name__)


class Broker:
    """One broker process, on whatever clock, disk and network it is given.

    `on_failure` is called with what keeps it from going on: another process has its id, its directories
    belong to another cluster, or it does not understand the metadata. `origins` says of settings that are not
    left at their default where they come from, for those who ask.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        clock: Clock,
        rng: random.Random,
        disk: Disk,
        network: Network,
        workers: Workers,
        metrics: Metrics,
        on_failure: Callable[[Exception], None],
        origins: Mapping[str, Origin] | None = None,
    ) -> None:
        self.settings = settings
        self._origins = origins or {}
        self._clock, self._rng, self._network = clock, rng, network
        self._on_failure = on_failure
        self._coordinators = CoordinatorAddresses(settings.coordinators)
        self._incarnation_id = rng.randbytes(ID_BYTES)
        self._listener: Listener | None = None
        self._started = AsyncExitStack()
        self._begun_at: float | None = None
        self._image_moves = Bell()
        self.logs = self._make_logs(disk, workers)
        self.session = self._make_session()
        self.watch = self._make_watch()
        self.metrics = BrokerMetrics(metrics)
        self.replicas = self._make_replicas()
        self.partitions = self.replicas.partitions
        self.budget = Budget(
            limit_bytes=settings.max_in_flight_bytes,
            stream_limit_bytes=settings.max_connection_in_flight_bytes,
        )
        self._show_metrics()
        self._produce = self._make_produce_service()
        self._fetch = self._make_fetch_service()
        self._replicate = self._make_replicate_service()

    def _make_logs(self, disk: Disk, workers: Workers) -> LogManager:
        return LogManager(
            directories=self.settings.data_dirs,
            settings=self.settings,
            disk=disk,
            workers=workers,
            clock=self._clock,
            rng=self._rng,
            on_directory_change=self._directory_changed,
        )

    def _make_session(self) -> Session:
        return Session(
            coordinators=self._coordinators,
            network=self._network,
            clock=self._clock,
            rng=self._rng,
            registration=self._registration,
            heartbeat=self._heartbeat,
            on_registered=self._registered,
            on_failure=self._on_failure,
        )

    def _make_watch(self) -> MetadataWatch:
        return MetadataWatch(
            network=self._network,
            clock=self._clock,
            rng=self._rng,
            on_entry=self._entry,
            on_snapshot=self._snapshot,
            on_failure=self._on_failure,
        )

    def _make_replicas(self) -> Replicas:
        return Replicas(
            self.settings,
            logs=self.logs,
            coordinator=self.session,
            network=self._network,
            clock=self._clock,
            rng=self._rng,
            hello=self._hello,
            observer=self.metrics.replicas,
            on_heard=self.session.report,
            on_failure=self._on_failure,
        )

    def _show_metrics(self) -> None:
        self.metrics.watch_directories(self.logs.directories)
        self.metrics.watch(partitions=self.partitions, budget=self.budget, session=self.session)
        self.metrics.replicas.watch(self.partitions, self.replicas.following)
        self.logs.on_flush = self.metrics.flushed

    def _make_produce_service(self) -> ProduceService:
        return ProduceService(
            partitions=self.partitions,
            budget=self.budget,
            clock=self._clock,
            unconfirmed=lambda: self.session.unconfirmed,
            observer=self.metrics,
        )

    def _make_fetch_service(self) -> FetchService:
        return FetchService(
            partitions=self.partitions,
            clock=self._clock,
            unconfirmed=lambda: self.session.unconfirmed,
            observer=self.metrics,
        )

    def _make_replicate_service(self) -> ReplicateService:
        return ReplicateService(
            partitions=self.partitions,
            clock=self._clock,
            broker_id=self.settings.id,
            cluster_id=lambda: self.logs.cluster_id or "",
            window_bytes=self.settings.replication_window_bytes,
            observer=self.metrics.replicas,
        )

    @property
    def address(self) -> str:
        """host:port where it serves, once started."""
        assert self._listener is not None, "not started"
        return self._listener.address

    async def start(self) -> None:
        """Recover the logs, listen, register; returns when a coordinator counts on this broker.

        Raises StreamkeepError or OSError if the directories or the address cannot be had. Waits as long as
        no coordinator answers.
        """
        try:
            await self.logs.start()
            self._started.push_async_callback(self.logs.stop)
            self._listener = await self._network.serve(self.settings.listen, self._services())
            self._started.push_async_callback(self._close_streams, self._listener)
            self.replicas.start()
            self._started.push_async_callback(self.replicas.stop, self.settings.stop_timeout_ms / 2000)
            self.session.start()
            self._started.push_async_callback(self.session.stop)
            self._started.push_async_callback(self.watch.stop)
            await self.session.unfenced.wait()
            self._started.push_async_callback(self._leave)
        except Exception:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Hand over, end the streams, flush and mark the logs clean."""
        await self._started.aclose()

    async def _leave(self) -> None:
        """Have the leaders moved while they are served on. Once the own image says that they have, whoever
        writes here was told where to go. The session ends next, and the broker is fenced at once."""
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await self.session.ask_to_leave()
            async with asyncio.timeout(MOVED_TIMEOUT_S):
                while self.partitions.leaders_to_move:
                    await self._image_moves.wait()
        except TimeoutError:
            count = self.partitions.leaders_to_move
            _logger.info("stopping with %d leaders that others in sync could take over", count)

    async def _close_streams(self, listener: Listener) -> None:
        """Answer what waits; when the disk takes too long, say so instead; then end every stream."""
        stopping = ShuttingDownError(f"broker {self.settings.id} is stopping")
        closing = Closing(error=to_proto(stopping), coordinators=self._coordinators.known)
        self._produce.close(closing)
        self._fetch.close(closing)
        self._replicate.close(closing)
        grace_s = self.settings.stop_timeout_ms / 1000
        give_up = asyncio.get_running_loop().call_later(grace_s / 2, self.partitions.resign_all, stopping)
        try:
            await listener.stop(grace_s)
        finally:
            give_up.cancel()
            self.partitions.resign_all(stopping)

    # --- what the parts tell each other ---

    def _registration(self) -> RegisterBroker:
        return RegisterBroker(
            broker_id=self.settings.id,
            incarnation_id=self._incarnation_id,
            cluster_id=self.logs.cluster_id or "",
            address=self.settings.advertised or self.address,
            rack=self.settings.rack,
            directory_ids=[d.id for d in self.logs.directories if not d.is_offline],
            boot_id=self.logs.boot_id,
            min_feature_level=MIN_FEATURE_LEVEL,
            max_feature_level=MAX_FEATURE_LEVEL,
            clean_start=self.logs.clean_start,
            cluster_epoch=self.logs.cluster_epoch,
        )

    async def _registered(self, registered: BrokerRegistered, address: str) -> None:
        """From now on the cluster is known: the directories are bound to it and its metadata followed."""
        await self.logs.bind_cluster(registered.cluster_id, registered.cluster_epoch)
        await self.watch.follow(address, registered.cluster_id)
        self.replicas.session_opened()

    def _heartbeat(self) -> BrokerHeartbeat:
        directories = [directory for directory in self.logs.directories if directory.id]
        return BrokerHeartbeat(
            metadata_index=0 if self._is_held_back else self.watch.image.index,
            offline_directory_ids=[each.id for each in directories if each.is_offline],
            stalled_directory_ids=[each.id for each in directories if each.is_stalled],
            full_directory_ids=[each.id for each in directories if each.is_full],
        )

    @property
    def _is_held_back(self) -> bool:
        """This broker must not be unfenced yet: see DAMAGE_PATIENCE_S."""
        if self._begun_at is None:
            return False
        patient = self._clock.monotonic() < self._begun_at + DAMAGE_PATIENCE_S
        return patient and self.replicas.reports.has_unheard_damage

    def _hello(self, leader_id: int) -> FollowerHello | None:
        registered = self.session.registered
        if registered is None:
            return None
        return FollowerHello(
            broker_id=self.settings.id,
            broker_epoch=registered.broker_epoch,
            cluster_id=registered.cluster_id,
            leader_id=leader_id,
        )

    def _directory_changed(self, directory: LogDirectory) -> None:
        if directory.is_offline:
            self.partitions.storage_failed(directory)
        elif directory.state == ONLINE:
            self.partitions.storage_recovered()
        self.session.report()

    def _learn_coordinators(self, delta: ImageDelta) -> None:
        quorum = self.watch.image.quorum
        if delta.quorum_changed and quorum is not None:
            self._coordinators.learn([member.address for member in quorum.members])

    def _entry(self, delta: ImageDelta) -> None:
        if self._begun_at is not None:
            self.partitions.follow(delta)
        self._image_moved(delta)

    def _snapshot(self, delta: ImageDelta) -> None:
        if self._begun_at is not None:
            self.partitions.follow_snapshot(delta)
        self._image_moved(delta)

    def _image_moved(self, delta: ImageDelta) -> None:
        """Once the image is as recent as the registration, this broker can act on it and be unfenced."""
        self._learn_coordinators(delta)
        self._image_moves.ring()
        registered = self.session.registered
        if registered is None or self.watch.image.index < registered.metadata_index:
            return
        if self._begun_at is None:
            self._begun_at = self._clock.monotonic()
            self.partitions.begin(self.watch.image)
        else:
            self.metrics.replicas.image_changed(delta, self.settings.id)
        if self.session.fenced:
            self.session.report()

    def _services(self) -> Sequence[Service]:
        clients = broker_service(
            produce=self._produce,
            fetch=self._fetch,
            offsets=OffsetsService(partitions=self.partitions),
            producers=ProducersService(
                allocate_block=self.session.allocate_producer_ids, partitions=self.partitions
            ),
            log_dirs=LogDirsService(logs=self.logs),
        )
        hashes = ReplicaHashesService(partitions=self.partitions)
        return (
            clients,
            replication_service(replicate=self._replicate, hashes=hashes),
            settings_service(BROKER_SETTINGS, self.settings, self._origins),
        )
