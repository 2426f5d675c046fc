"""A coordinator for tests of the broker: it holds a metadata log and does what the test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from streamkeep_common.errors import NotActiveError, StreamkeepError, to_proto
from streamkeep_common.image import ClusterImage, apply, to_records
from streamkeep_common.methods import ALLOCATE_PRODUCER_IDS, METADATA_SERVICE, SESSION, SESSION_SERVICE, WATCH
from streamkeep_common.seams import CallInfo, Listener, Network, ServerStream, Service
from streamkeep_proto.v1.coordinator_pb2 import (
    AllocateProducerIdsRequest,
    AllocateProducerIdsResponse,
    BrokerHeartbeat,
    BrokerRegistered,
    BrokerStatus,
    RegisterBroker,
    SessionRequest,
    SessionResponse,
    WatchRequest,
    WatchResponse,
)
from streamkeep_proto.v1.metadata_pb2 import (
    BrokerFencedRecord,
    BrokerRecord,
    ClusterRecord,
    MetadataEntry,
    MetadataRecord,
    MetadataSnapshot,
    PartitionChangeRecord,
    PartitionRecord,
    SettingRecord,
    TopicRecord,
    TopicRemovedRecord,
)

CLUSTER_ID = "A" * 22
HEARTBEAT_MS = 50

_NOT_OF_TOPICS = ("cluster", "feature_level", "broker", "broker_fenced", "producer_ids")


class FakeCoordinator:
    """One coordinator, active until it steps down. Everything it was told is kept for the test to look at."""

    def __init__(
        self,
        network: Network,
        *,
        cluster_id: str = CLUSTER_ID,
        cluster_epoch: int = 1,
        session_timeout_ms: int = 3000,
    ) -> None:
        self.entries: list[MetadataEntry] = []
        self.image = ClusterImage()
        self.registrations: list[RegisterBroker] = []
        self.heartbeats: list[BrokerHeartbeat] = []
        self.attempts = 0
        """Sessions opened with it, refused ones too."""
        self.watches: list[WatchRequest] = []
        self.refusal: StreamkeepError | None = None
        self.may_shut_down = True
        self.fickle = False
        """It is active no more as soon as it has registered a broker, and names itself."""
        self.silent = False
        self.snapshot_first = False
        self.allocate_error: StreamkeepError | None = None
        self.cluster_epoch = cluster_epoch
        self._network = network
        self._session_timeout_ms = session_timeout_ms
        self._sessions: list[ServerStream[SessionRequest, SessionResponse]] = []
        self._moved = asyncio.Event()
        self._listener: Listener | None = None
        self._next_id = 1
        self.commit(MetadataRecord(cluster=ClusterRecord(cluster_id=cluster_id)))

    async def start(self, address: str = "127.0.0.1:0") -> str:
        self._listener = await self._network.serve(address, self.services())
        return self._listener.address

    async def stop(self) -> None:
        if self._listener is not None:
            await self._listener.stop(0)
            self._listener = None

    async def step_down(self, active_address: str = "") -> None:
        """Another one is active from now on, or nobody."""
        self.refusal = self.allocate_error = NotActiveError("not me", active_address=active_address)
        for stream in self._sessions:
            await stream.send(SessionResponse(error=to_proto(self.refusal)))

    def take_over(self, other: FakeCoordinator) -> None:
        """Go on with the log of the one that was active before."""
        self.entries, self.image, self._next_id = list(other.entries), other.image, other._next_id
        self.refusal = self.allocate_error = None

    def services(self) -> Sequence[Service]:
        return (
            Service(SESSION_SERVICE, {ALLOCATE_PRODUCER_IDS: self._allocate}, {SESSION: self._session}),
            Service(METADATA_SERVICE, {}, {WATCH: self._watch}),
        )

    # --- what the test commits ---

    def commit(self, *records: MetadataRecord) -> int:
        index = len(self.entries) + 1
        self.image, _ = apply(self.image, records, index)
        self.entries.append(MetadataEntry(index=index, term=1, records=records))
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        return index

    def create_topic(
        self, topic_id: bytes, name: str, *, broker: RegisterBroker, partitions: int = 1, **settings: str
    ) -> None:
        records = [MetadataRecord(topic=TopicRecord(topic_id=topic_id, name=name))]
        records += [
            MetadataRecord(setting=SettingRecord(topic_id=topic_id, name=key, value=value))
            for key, value in settings.items()
        ]
        records += [
            MetadataRecord(partition=_partition(topic_id, number, broker)) for number in range(partitions)
        ]
        self.commit(*records)

    def remove_topic(self, topic_id: bytes) -> None:
        self.commit(MetadataRecord(topic_removed=TopicRemovedRecord(topic_id=topic_id)))

    def forget_topics(self) -> None:
        """Lose all topics without a record that says so, and offer a snapshot of what is left."""
        kept = [record for record in to_records(self.image) if record.WhichOneof("record") in _NOT_OF_TOPICS]
        self.image, _ = apply(ClusterImage(), kept, self.image.index + 1)
        self.entries.append(MetadataEntry(index=self.image.index, term=1))
        self.snapshot_first = True

    def change_setting(self, topic_id: bytes, name: str, value: str) -> None:
        self.commit(MetadataRecord(setting=SettingRecord(topic_id=topic_id, name=name, value=value)))

    def change_leader(self, topic_id: bytes, partition: int, leader: int) -> None:
        before = self.image.partition(topic_id, partition)
        assert before is not None
        self.commit(
            MetadataRecord(
                partition_change=PartitionChangeRecord(
                    topic_id=topic_id,
                    partition=partition,
                    isr=before.isr,
                    elr=before.elr,
                    leader=leader,
                    leader_epoch=before.leader_epoch + 1,
                    partition_epoch=before.partition_epoch + 1,
                )
            )
        )

    # --- what the broker asks ---

    async def _session(self, stream: ServerStream[SessionRequest, SessionResponse]) -> None:
        request = await stream.receive()
        assert request is not None
        self.attempts += 1
        registration = RegisterBroker()
        registration.CopyFrom(request.register)
        if self.refusal is not None:
            await stream.send(SessionResponse(error=to_proto(self.refusal)))
            return
        epoch = self._register(registration)
        await stream.send(
            SessionResponse(
                registered=BrokerRegistered(
                    cluster_id=self.image.cluster_id,
                    broker_epoch=epoch,
                    metadata_index=self.image.index,
                    session_timeout_ms=self._session_timeout_ms,
                    heartbeat_interval_ms=HEARTBEAT_MS,
                    cluster_epoch=self.cluster_epoch,
                )
            )
        )
        if self.fickle:
            assert self._listener is not None
            error = NotActiveError("not me", active_address=self._listener.address)
            await stream.send(SessionResponse(error=to_proto(error)))
            return
        self._sessions.append(stream)
        try:
            await self._answer_heartbeats(stream, registration.broker_id, self.image.index)
        finally:
            self._sessions.remove(stream)

    def _register(self, registration: RegisterBroker) -> int:
        """As the real one: a new incarnation gets a new epoch, and what it led gets new leader epochs."""
        known = self.image.brokers.get(registration.broker_id)
        self.registrations.append(registration)
        if known is not None and known.registration.incarnation_id == registration.incarnation_id:
            return known.broker_epoch
        epoch = 1 if known is None else known.broker_epoch + 1
        self.commit(
            MetadataRecord(
                broker=BrokerRecord(
                    broker_id=registration.broker_id,
                    broker_epoch=epoch,
                    incarnation_id=registration.incarnation_id,
                    address=registration.address,
                    rack=registration.rack,
                    directory_ids=registration.directory_ids,
                )
            )
        )
        for topic in list(self.image.topics.values()):
            for partition in topic.partitions:
                if partition.leader == registration.broker_id:
                    self.change_leader(topic.topic_id, partition.partition, registration.broker_id)
        return epoch

    async def _answer_heartbeats(
        self, stream: ServerStream[SessionRequest, SessionResponse], broker_id: int, unfence_at: int
    ) -> None:
        while (request := await stream.receive()) is not None:
            heartbeat = BrokerHeartbeat()
            heartbeat.CopyFrom(request.heartbeat)
            self.heartbeats.append(heartbeat)
            broker = self.image.brokers[broker_id]
            if broker.fenced and heartbeat.metadata_index >= unfence_at:
                self.commit(
                    MetadataRecord(
                        broker_fenced=BrokerFencedRecord(
                            broker_id=broker_id, broker_epoch=broker.broker_epoch, fenced=False
                        )
                    )
                )
            if not self.silent:
                await stream.send(SessionResponse(status=self._status(broker_id, heartbeat)))

    def _status(self, broker_id: int, heartbeat: BrokerHeartbeat) -> BrokerStatus:
        return BrokerStatus(
            fenced=self.image.brokers[broker_id].fenced,
            may_shut_down=heartbeat.wants_shutdown and self.may_shut_down,
        )

    async def _watch(self, stream: ServerStream[WatchRequest, WatchResponse]) -> None:
        request = await stream.receive()
        assert request is not None
        watch = WatchRequest()
        watch.CopyFrom(request)
        self.watches.append(watch)
        index = request.after_index
        if self.snapshot_first:
            self.snapshot_first = False
            index = self.image.index
            for number, record in enumerate(records := list(to_records(self.image))):
                await stream.send(
                    WatchResponse(
                        snapshot=MetadataSnapshot(index=index, term=1, records=[record]),
                        snapshot_complete=number == len(records) - 1,
                    )
                )
        while True:
            moved = self._moved
            await stream.send(WatchResponse(entries=self.entries[index:], committed_index=len(self.entries)))
            index = max(index, len(self.entries))
            try:
                async with asyncio.timeout(0.4):
                    await moved.wait()
            except TimeoutError:
                continue

    async def _allocate(
        self, request: AllocateProducerIdsRequest, _call: CallInfo
    ) -> AllocateProducerIdsResponse:
        if self.allocate_error is not None:
            return AllocateProducerIdsResponse(error=to_proto(self.allocate_error))
        first, self._next_id = self._next_id, self._next_id + 3
        return AllocateProducerIdsResponse(first_producer_id=first, count=3)


def _partition(topic_id: bytes, number: int, broker: RegisterBroker) -> PartitionRecord:
    return PartitionRecord(
        topic_id=topic_id,
        partition=number,
        replicas=[broker.broker_id],
        directory_ids=[broker.directory_ids[number % len(broker.directory_ids)]],
        isr=[broker.broker_id],
        leader=broker.broker_id,
        leader_epoch=1,
        partition_epoch=1,
    )
