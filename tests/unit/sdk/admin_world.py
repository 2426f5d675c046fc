"""An admin in simulated time, and a cluster that answers it as told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from streamkeep import Admin, Client
from streamkeep_common.errors import NoQuorumError, UnknownTopicError, to_proto
from streamkeep_common.methods import (
    ADD_PARTITIONS,
    ADMIN_SERVICE,
    BROKER_SERVICE,
    DELETE_RECORDS,
    DESCRIBE_CLUSTER,
    DESCRIBE_LOG_DIRS,
    DESCRIBE_PROCESS_SETTINGS,
    DESCRIBE_TOPIC_SETTINGS,
    DESCRIBE_TOPICS,
    GET_METADATA,
    LIST_OFFSETS,
    LIST_TOPICS,
    METADATA_SERVICE,
    REASSIGN_PARTITIONS,
    SETTINGS_SERVICE,
)
from streamkeep_common.seams import CallInfo, Service
from streamkeep_proto.v1.broker_pb2 import (
    DeletedRecords,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    ListedOffset,
    ListOffsetsRequest,
    ListOffsetsResponse,
    LogDir,
    LogDirReplica,
)
from streamkeep_proto.v1.coordinator_pb2 import (
    AddPartitionsRequest,
    AddPartitionsResponse,
    BrokerInfo,
    CoordinatorInfo,
    DescribeClusterRequest,
    DescribeClusterResponse,
    DescribeTopicSettingsRequest,
    DescribeTopicSettingsResponse,
    DescribeTopicsRequest,
    DescribeTopicsResponse,
    GetMetadataRequest,
    GetMetadataResponse,
    ListTopicsRequest,
    ListTopicsResponse,
    PartitionInfo,
    ReassignmentOutcome,
    ReassignPartitionsRequest,
    ReassignPartitionsResponse,
    TopicInfo,
    TopicListing,
    TopicOutcome,
    TopicSettingsInfo,
)
from streamkeep_proto.v1.settings_pb2 import (
    DescribedSetting,
    DescribeProcessSettingsRequest,
    DescribeProcessSettingsResponse,
)
from tests.sim.simulation import Machine, Simulation, run_simulation

COORDINATOR = "coordinator:7101"
TOPIC_ID = b"t" * 16


class AdminWorld:
    """One coordinator and brokers 1 and 2. What they answer is what the attributes say just then."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.brokers = [
            BrokerInfo(broker_id=number, address=f"broker-{number}:7201", fenced=False) for number in (1, 2)
        ]
        self.topics = {
            "t": [PartitionInfo(partition=0, leader=1, leader_epoch=1, replicas=[1, 2], isr=[1, 2])]
        }
        self.held: list[LogDirReplica] = []
        self.metadata_index = 1
        self.high_watermark = 10
        self.moves = 0
        """Requests to move replicas. They are refused from `refused_moves` on."""
        self.refused_moves = 1 << 30
        self.deletions: list[DeleteRecordsRequest] = []
        self.setting_questions: list[int] = []
        self.machines: dict[str, Machine] = {}
        client = simulation.machine("client")
        self.clock = client.clock
        self.admin = Admin(Client(COORDINATOR, network=client.network, clock=client.clock, rng=client.rng))

    async def start(self) -> None:
        administration = Service(
            ADMIN_SERVICE,
            {
                DESCRIBE_CLUSTER: self._cluster,
                DESCRIBE_TOPICS: self._topics,
                LIST_TOPICS: self._listing,
                DESCRIBE_TOPIC_SETTINGS: self._topic_settings,
                ADD_PARTITIONS: self._add_partitions,
                REASSIGN_PARTITIONS: self._reassign,
            },
            {},
        )
        metadata = Service(METADATA_SERVICE, {GET_METADATA: self._metadata}, {})
        await self._serve("coordinator", COORDINATOR, [administration, metadata, self._settings(1)])
        data = {
            DESCRIBE_LOG_DIRS: self._log_dirs,
            LIST_OFFSETS: self._offsets,
            DELETE_RECORDS: self._delete_records,
        }
        for broker in self.brokers:
            services = [Service(BROKER_SERVICE, data, {}), self._settings(broker.broker_id)]
            await self._serve(f"broker-{broker.broker_id}", broker.address, services)

    async def _serve(self, name: str, address: str, services: list[Service]) -> None:
        self.machines[name] = self.simulation.machine(name)
        await self.machines[name].network.serve(address, services)

    def later(self, seconds: float, change: Callable[[], object]) -> None:
        """Something happens to the cluster in the meantime."""
        self.simulation.loop.call_later(seconds, change)

    async def _cluster(self, _request: DescribeClusterRequest, _info: CallInfo) -> DescribeClusterResponse:
        return DescribeClusterResponse(
            coordinators=[CoordinatorInfo(coordinator_id=1, address=COORDINATOR, active=True)],
            brokers=self.brokers,
        )

    async def _metadata(self, request: GetMetadataRequest, _info: CallInfo) -> GetMetadataResponse:
        return GetMetadataResponse(
            cluster_id="world",
            metadata_index=self.metadata_index,
            coordinators=[CoordinatorInfo(coordinator_id=1, address=COORDINATOR, active=True)],
            brokers=self.brokers,
            topics=map(self._topic, request.names),
        )

    async def _topics(self, request: DescribeTopicsRequest, _info: CallInfo) -> DescribeTopicsResponse:
        return DescribeTopicsResponse(topics=map(self._topic, request.names or self.topics))

    def _topic(self, name: str) -> TopicInfo:
        if name not in self.topics:
            return TopicInfo(name=name, error=to_proto(UnknownTopicError(f"there is no topic {name}")))
        return TopicInfo(name=name, topic_id=TOPIC_ID, partitions=self.topics[name])

    async def _listing(self, _request: ListTopicsRequest, _info: CallInfo) -> ListTopicsResponse:
        return ListTopicsResponse(topics=[TopicListing(name=name) for name in sorted(self.topics)])

    async def _add_partitions(self, request: AddPartitionsRequest, _info: CallInfo) -> AddPartitionsResponse:
        """Decided at once, and told to those who ask for metadata a second later."""
        (asked,) = request.topics
        added = [PartitionInfo(partition=each, leader=2) for each in range(1, asked.partitions)]

        def tell() -> None:
            self.metadata_index = 2
            self.topics[asked.name] += added

        self.later(1.0, tell)
        outcome = TopicOutcome(name=asked.name, partitions=asked.partitions, metadata_index=2)
        return AddPartitionsResponse(outcomes=[outcome])

    async def _reassign(
        self, request: ReassignPartitionsRequest, _info: CallInfo
    ) -> ReassignPartitionsResponse:
        self.moves += 1
        if self.moves >= self.refused_moves:
            return ReassignPartitionsResponse(error=to_proto(NoQuorumError("nobody else is left")))
        outcomes = [
            ReassignmentOutcome(topic=each.topic, partition=each.partition)
            for each in request.explicit.partitions
        ]
        return ReassignPartitionsResponse(outcomes=outcomes)

    async def _topic_settings(
        self, request: DescribeTopicSettingsRequest, _info: CallInfo
    ) -> DescribeTopicSettingsResponse:
        self.setting_questions.append(len(request.names))
        told = [self._settings_of(name) for name in request.names or [""]]
        return DescribeTopicSettingsResponse(topics=told)

    def _settings_of(self, name: str) -> TopicSettingsInfo:
        if name and name not in self.topics:
            return TopicSettingsInfo(name=name, error=self._topic(name).error)
        return TopicSettingsInfo(name=name, settings=[DescribedSetting(name="a", value=name)])

    async def _log_dirs(self, _request: DescribeLogDirsRequest, _info: CallInfo) -> DescribeLogDirsResponse:
        return DescribeLogDirsResponse(dirs=[LogDir(replicas=self.held)])

    async def _offsets(self, request: ListOffsetsRequest, _info: CallInfo) -> ListOffsetsResponse:
        return ListOffsetsResponse(
            offsets=[ListedOffset(offset=self.high_watermark)] * len(request.partitions)
        )

    async def _delete_records(self, request: DeleteRecordsRequest, _info: CallInfo) -> DeleteRecordsResponse:
        self.deletions.append(request)
        starts = [DeletedRecords(log_start_offset=each.before_offset) for each in request.partitions]
        return DeleteRecordsResponse(partitions=starts)

    def _settings(self, number: int) -> Service:
        """Of a broker; the coordinator's says so too, as another process would that has got its address."""

        async def describe(_request: DescribeProcessSettingsRequest, _info: CallInfo) -> Any:
            settings = [DescribedSetting(name="id", value=str(number))]
            return DescribeProcessSettingsResponse(role="broker", id=number, settings=settings)

        return Service(SETTINGS_SERVICE, {DESCRIBE_PROCESS_SETTINGS: describe}, {})


def in_admin_world(story: Callable[[AdminWorld], Awaitable[None]]) -> None:
    async def live(simulation: Simulation) -> None:
        world = AdminWorld(simulation)
        await world.start()
        await story(world)

    run_simulation(1, live)
