"""The broker, put together: what it is made of, in which order that starts, and the reverse on stop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack

from streamkeep_broker.log.directory import LogDirectory
from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.metadata.session import Session
from streamkeep_broker.metadata.watch import MetadataWatch
from streamkeep_broker.metrics import BrokerMetrics
from streamkeep_broker.replication.partitions import Partitions
from streamkeep_broker.services.budget import Budget
from streamkeep_broker.services.fetch import FetchService
from streamkeep_broker.services.log_dirs import LogDirsService
from streamkeep_broker.services.offsets import OffsetsService
from streamkeep_broker.services.produce import ProduceService
from streamkeep_broker.services.producers import ProducersService
from streamkeep_broker.services.service import broker_service
from streamkeep_common.coordinators import CoordinatorAddresses
from streamkeep_common.errors import ShuttingDownError, to_proto
from streamkeep_common.image import MAX_FEATURE_LEVEL, MIN_FEATURE_LEVEL, ImageDelta
from streamkeep_common.limits import ID_BYTES
from streamkeep_common.seams import Clock, Disk, Listener, Network, Service, Workers
from streamkeep_common.server.metrics import Metrics
from streamkeep_common.settings import BrokerSettings
from streamkeep_proto.v1.broker_pb2 import ONLINE, Closing
from streamkeep_proto.v1.coordinator_pb2 import BrokerRegistered, RegisterBroker

LEAVE_TIMEOUT_S = 0.3


class Broker:
    """One broker process, on whatever clock, disk and network it is given.

    `on_failure` is called with what keeps it from going on: another process has its id, its directories
    belong to another cluster, or it does not understand the metadata.
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
    ) -> None:
        self.settings = settings
        self._clock, self._rng, self._network = clock, rng, network
        self._on_failure = on_failure
        self._coordinators = CoordinatorAddresses(settings.coordinators)
        self._incarnation_id = rng.randbytes(ID_BYTES)
        self._listener: Listener | None = None
        self._started = AsyncExitStack()
        self._has_begun = False
        self.logs = LogManager(
            directories=settings.data_dirs,
            settings=settings,
            disk=disk,
            workers=workers,
            clock=clock,
            rng=rng,
            on_directory_change=self._directory_changed,
        )
        self.partitions = Partitions(logs=self.logs, clock=clock, broker_id=settings.id)
        self.session = self._make_session()
        self.watch = self._make_watch()
        self.budget = Budget(
            limit_bytes=settings.max_in_flight_bytes,
            stream_limit_bytes=settings.max_connection_in_flight_bytes,
        )
        self.metrics = self._make_metrics(metrics)
        self._produce = self._make_produce_service()
        self._fetch = self._make_fetch_service()

    def _make_session(self) -> Session:
        return Session(
            coordinators=self._coordinators,
            network=self._network,
            clock=self._clock,
            rng=self._rng,
            registration=self._registration,
            metadata_index=lambda: self.watch.image.index,
            offline_directories=self._offline_directories,
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

    def _make_metrics(self, metrics: Metrics) -> BrokerMetrics:
        made = BrokerMetrics(metrics)
        made.watch_directories(self.logs.directories)
        made.watch(partitions=self.partitions, budget=self.budget, session=self.session)
        self.logs.on_flush = made.flushed
        return made

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
            self._listener = await self._network.serve(self.settings.listen, [self._service()])
            self._started.push_async_callback(self._close_streams, self._listener)
            self.session.start()
            self._started.push_async_callback(self.session.stop)
            self._started.push_async_callback(self.watch.stop)
            await self.session.unfenced.wait()
            self._started.push_async_callback(self.session.leave, LEAVE_TIMEOUT_S)
        except Exception:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Hand over, end the streams, flush and mark the logs clean."""
        await self._started.aclose()

    async def _close_streams(self, listener: Listener) -> None:
        """Answer what waits; when the disk takes too long, say so instead; then end every stream."""
        stopping = ShuttingDownError(f"broker {self.settings.id} is stopping")
        closing = Closing(error=to_proto(stopping), coordinators=self._coordinators.known)
        self._produce.close(closing)
        self._fetch.close(closing)
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

    def _offline_directories(self) -> list[bytes]:
        return [d.id for d in self.logs.directories if d.is_offline and d.id]

    def _directory_changed(self, directory: LogDirectory) -> None:
        if directory.is_offline:
            self.partitions.storage_failed(directory)
            self.session.report()
        elif directory.state == ONLINE:
            self.partitions.storage_recovered()

    def _learn_coordinators(self, delta: ImageDelta) -> None:
        quorum = self.watch.image.quorum
        if delta.quorum_changed and quorum is not None:
            self._coordinators.learn([member.address for member in quorum.members])

    def _entry(self, delta: ImageDelta) -> None:
        if self._has_begun:
            self.partitions.follow(delta)
        self._learn_coordinators(delta)
        self._image_moved()

    def _snapshot(self, delta: ImageDelta) -> None:
        if self._has_begun:
            self.partitions.follow_snapshot(delta)
        self._learn_coordinators(delta)
        self._image_moved()

    def _image_moved(self) -> None:
        """Once the image is as recent as the registration, this broker can act on it and be unfenced."""
        registered = self.session.registered
        if registered is None or self.watch.image.index < registered.metadata_index:
            return
        if not self._has_begun:
            self._has_begun = True
            self.partitions.begin(self.watch.image)
        if self.session.fenced:
            self.session.report()

    def _service(self) -> Service:
        return broker_service(
            produce=self._produce,
            fetch=self._fetch,
            offsets=OffsetsService(partitions=self.partitions),
            producers=ProducersService(allocate_block=self.session.allocate_producer_ids),
            log_dirs=LogDirsService(logs=self.logs),
        )
