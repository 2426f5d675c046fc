"""A coordinator for tests of replication: it fences whom the test says, elects from who is in sync, takes
proposals by compare-and-set, and hears reports. What it decides is simpler than what the real one does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from streamkeep_common.errors import (
    FencedLeaderEpochError,
    IneligibleReplicaError,
    StaleBrokerEpochError,
    StalePartitionEpochError,
    StreamkeepError,
    to_proto,
)
from streamkeep_common.image import PartitionImage
from streamkeep_common.image.records import to_partition_record
from streamkeep_common.methods import ALTER_PARTITIONS, REPORT_REPLICAS, SESSION_SERVICE
from streamkeep_common.seams import CallInfo, Network, RpcError, ServerStream, Service, Status
from streamkeep_proto.v1.coordinator_pb2 import (
    AlteredPartition,
    AlterPartition,
    AlterPartitionsRequest,
    AlterPartitionsResponse,
    BrokerHeartbeat,
    BrokerStatus,
    RegisterBroker,
    ReplicaReport,
    ReportedReplica,
    ReportReplicasRequest,
    ReportReplicasResponse,
    SessionRequest,
    SessionResponse,
)
from streamkeep_proto.v1.metadata_pb2 import (
    BrokerFencedRecord,
    FeatureLevelRecord,
    MetadataRecord,
    PartitionPlacementRecord,
    PartitionRecord,
    SettingRecord,
    TopicRecord,
)
from tests.unit.broker.coordinator import FakeCoordinator

REPLICATION_LEVEL = 3


class ReplicatedCoordinator(FakeCoordinator):
    """See the module. Everything that it was told is kept for the test to look at."""

    def __init__(self, network: Network, *, session_timeout_ms: int = 3000) -> None:
        super().__init__(network, session_timeout_ms=session_timeout_ms)
        self.proposals: list[AlterPartition] = []
        self.reports: list[tuple[int, ReplicaReport]] = []
        self.latest: dict[int, BrokerHeartbeat] = {}
        """Heartbeats, by broker."""
        self.lost_answers = 0
        """So many of the next proposals are carried out and not answered."""
        self.refuses: StreamkeepError | None = None
        """What proposals and reports are answered with as a whole."""
        self.refused: dict[int, None] = {}
        """Brokers that may not be let in."""
        self.holds = asyncio.Event()
        """Cleared, no proposal is carried out until it is set."""
        self.holds.set()
        self.answers_reports = asyncio.Event()
        """Cleared, reports are heard and not answered until it is set."""
        self.answers_reports.set()
        self.elects = True
        """Whether leaders change by themselves when brokers come and go."""
        self._ends: dict[tuple[bytes, int], dict[int, tuple[int, int]]] = {}
        self.commit(MetadataRecord(feature_level=FeatureLevelRecord(level=REPLICATION_LEVEL)))

    def services(self) -> Sequence[Service]:
        sessions, *others = super().services()
        unary = {**sessions.unary, ALTER_PARTITIONS: self._take_proposals, REPORT_REPLICAS: self._report}
        return (Service(SESSION_SERVICE, unary, sessions.streams), *others)

    # --- what the test does ---

    def create_replicated(
        self, topic_id: bytes, name: str, brokers: Sequence[int], *, partitions: int = 1, **settings: str
    ) -> None:
        """A topic with a replica of each partition on each broker; the brokers lead in turns."""
        records = [MetadataRecord(topic=TopicRecord(topic_id=topic_id, name=name))]
        for key, value in settings.items():
            setting = SettingRecord(topic_id=topic_id, name=key, value=value)
            records.append(MetadataRecord(setting=setting))
        for number in range(partitions):
            first = number % len(brokers)
            replicas = [*brokers[first:], *brokers[:first]]
            record = PartitionRecord(
                topic_id=topic_id,
                partition=number,
                replicas=replicas,
                directory_ids=[self._directory(each) for each in replicas],
                isr=replicas,
                leader=replicas[0],
                leader_epoch=1,
                partition_epoch=1,
            )
            records.append(MetadataRecord(partition=record))
        self.commit(*records)

    def fence(self, broker_id: int) -> None:
        """The broker is gone: others lead."""
        broker = self.image.brokers[broker_id]
        if not broker.fenced:
            fenced = BrokerFencedRecord(broker_id=broker_id, broker_epoch=broker.broker_epoch, fenced=True)
            self.commit(MetadataRecord(broker_fenced=fenced))
        self.settle()

    def unfence(self, broker_id: int) -> None:
        """The broker is back, as it was."""
        epoch = self.image.brokers[broker_id].broker_epoch
        unfenced = BrokerFencedRecord(broker_id=broker_id, broker_epoch=epoch)
        self.commit(MetadataRecord(broker_fenced=unfenced))
        self.settle()

    def stand(self, partition: PartitionImage, **changes: object) -> None:
        """Commit a partition as it is from now on."""
        epoch = partition.leader_epoch
        if changes.get("leader", partition.leader) != partition.leader or "replicas" in changes:
            epoch += 1
        after = partition._replace(
            **{"leader_epoch": epoch, "partition_epoch": partition.partition_epoch + 1, **changes}  # type: ignore[arg-type]
        )
        record = PartitionPlacementRecord(partition=to_partition_record(after))
        self.commit(MetadataRecord(partition_placement=record))

    def settle(self) -> None:
        """Elect wherever who leads or who is in sync cannot stay so."""
        for topic in list(self.image.topics.values()) if self.elects else ():
            for partition in topic.partitions:
                self._settle(partition)

    # --- what it decides ---

    def _settle(self, partition: PartitionImage) -> None:
        members = [*partition.isr, *partition.elr]
        usable = [each for each in partition.isr or partition.elr if self._is_usable(partition, each)]
        isr = [each for each in usable if not self._is_leaving(each)] or usable
        elr = [each for each in members if each not in isr] if not isr else []
        leader = partition.leader if partition.leader in isr else next(iter(isr), 0)
        if (isr, elr, leader) != (list(partition.isr), list(partition.elr), partition.leader):
            self.stand(partition, isr=tuple(isr), elr=tuple(elr), leader=leader)

    def _is_usable(self, partition: PartitionImage, broker_id: int) -> bool:
        heartbeat = self.latest.get(broker_id, BrokerHeartbeat())
        bad = [*heartbeat.offline_directory_ids, *heartbeat.stalled_directory_ids]
        bad += heartbeat.full_directory_ids
        return self.image.is_live(broker_id) and partition.directory_of(broker_id) not in bad

    def _is_leaving(self, broker_id: int) -> bool:
        return self.latest.get(broker_id, BrokerHeartbeat()).wants_shutdown

    def _directory(self, broker_id: int) -> bytes:
        return self.image.brokers[broker_id].directory_ids[0]

    # --- sessions ---

    def _register(self, registration: RegisterBroker) -> int:
        self.latest.pop(registration.broker_id, None)
        epoch = super()._register(registration)
        self.settle()
        return epoch

    def _status(self, broker_id: int, heartbeat: BrokerHeartbeat) -> BrokerStatus:
        self.latest[broker_id] = heartbeat
        self.settle()
        return super()._status(broker_id, heartbeat)

    async def _answer_heartbeats(
        self, stream: ServerStream[SessionRequest, SessionResponse], broker_id: int, unfence_at: int
    ) -> None:
        try:
            await super()._answer_heartbeats(stream, broker_id, unfence_at)
        finally:
            if self._is_leaving(broker_id) and self.may_shut_down:
                self.fence(broker_id)

    # --- proposals ---

    async def _take_proposals(
        self, request: AlterPartitionsRequest, call: CallInfo
    ) -> AlterPartitionsResponse:
        return await self.alter(request, call)

    async def alter(self, request: AlterPartitionsRequest, _call: CallInfo) -> AlterPartitionsResponse:
        asked = AlterPartitionsRequest()
        asked.CopyFrom(request)
        self.proposals.extend(asked.partitions)
        await self.holds.wait()
        if (error := self._refusal(asked.broker_id, asked.broker_epoch)) is not None:
            return AlterPartitionsResponse(error=to_proto(error))
        outcomes = [self._alter_one(asked.broker_id, each) for each in asked.partitions]
        if self.lost_answers:
            self.lost_answers -= 1
            raise RpcError(Status.UNAVAILABLE, "the answer is lost")
        return AlterPartitionsResponse(outcomes=outcomes)

    def _alter_one(self, broker_id: int, wanted: AlterPartition) -> AlteredPartition:
        partition = self.image.partition(wanted.topic_id, wanted.partition)
        assert partition is not None
        outcome = AlteredPartition(topic_id=wanted.topic_id, partition=wanted.partition)
        error = self._why_not(broker_id, partition, wanted)
        if error is None:
            self.stand(partition, isr=tuple(each.broker_id for each in wanted.isr), elr=())
        else:
            outcome.error.CopyFrom(to_proto(error))
        return outcome

    def _why_not(
        self, broker_id: int, partition: PartitionImage, wanted: AlterPartition
    ) -> StreamkeepError | None:
        if (partition.leader, partition.leader_epoch) != (broker_id, wanted.leader_epoch):
            return FencedLeaderEpochError("another leads")
        if partition.partition_epoch != wanted.partition_epoch:
            return StalePartitionEpochError("the partition has changed")
        for member in wanted.isr:
            broker = self.image.brokers[member.broker_id]
            usable = self._is_usable(partition, member.broker_id) and not self._is_leaving(member.broker_id)
            usable = usable and member.broker_id not in self.refused
            joins = member.broker_id not in partition.isr
            if broker.broker_epoch != member.broker_epoch or (joins and not usable):
                return IneligibleReplicaError(f"broker {member.broker_id}")
        return None

    def _refusal(self, broker_id: int, broker_epoch: int) -> StreamkeepError | None:
        if self.image.brokers[broker_id].broker_epoch != broker_epoch:
            return StaleBrokerEpochError("registered anew")
        return self.refuses or self.refusal

    # --- reports ---

    async def _report(self, request: ReportReplicasRequest, _call: CallInfo) -> ReportReplicasResponse:
        asked = ReportReplicasRequest()
        asked.CopyFrom(request)
        self.reports.extend((asked.broker_id, each) for each in asked.replicas)
        if (error := self._refusal(asked.broker_id, asked.broker_epoch)) is not None:
            return ReportReplicasResponse(error=to_proto(error))
        outcomes = [self._hear(asked.broker_id, each) for each in asked.replicas]
        await self.answers_reports.wait()
        return ReportReplicasResponse(outcomes=outcomes)

    def _hear(self, broker_id: int, report: ReplicaReport) -> ReportedReplica:
        partition = self.image.partition(report.topic_id, report.partition)
        assert partition is not None
        outcome = ReportedReplica(topic_id=report.topic_id, partition=report.partition)
        if partition.partition_epoch != report.partition_epoch:
            outcome.error.CopyFrom(to_proto(StalePartitionEpochError("the partition has changed")))
        elif report.damaged:
            outcome.may_copy_anew = self._drop(partition, broker_id)
        else:
            self._compare(partition, broker_id, report)
        return outcome

    def _drop(self, partition: PartitionImage, broker_id: int) -> bool:
        """Whether others have the data; then this replica is not counted on, under a new leader epoch."""
        others = [each for each in partition.isr if each != broker_id and self._is_usable(partition, each)]
        if others:
            leader = partition.leader if partition.leader in others else others[0]
            self.stand(partition, isr=tuple(others), leader=leader, leader_epoch=partition.leader_epoch + 1)
        return bool(others)

    def _compare(self, partition: PartitionImage, broker_id: int, report: ReplicaReport) -> None:
        """Once all of the last members have said how far they go, the greatest leads."""
        ends = self._ends.setdefault((partition.topic_id, partition.partition), {})
        ends[broker_id] = (report.last_epoch, report.log_end_offset)
        if set(ends) >= set(partition.last_members):
            leader = max(partition.last_members, key=ends.__getitem__)
            self.stand(partition, isr=(leader,), leader=leader, last_members=())
