"""The SDK's test double: one coordinator and some brokers over one store, on any network.

It keeps the rules that a client can see (leaders and epochs, the idempotence window, credit, checksums) and
nothing else: no disk, no replication, every append is readable at once. Tests tell it what goes wrong.
"""

from __future__ import annotations

from collections import deque

from streamkeep_common.errors import StreamkeepError, UnknownPartitionError, UnknownTopicError, to_proto
from streamkeep_common.methods import (
    BROKER_SERVICE,
    DELETE_RECORDS,
    FETCH,
    GET_METADATA,
    INIT_PRODUCER,
    LIST_OFFSETS,
    METADATA_SERVICE,
    PRODUCE,
)
from streamkeep_common.seams.network import CallInfo, Network, Service
from streamkeep_proto.v1.broker_pb2 import InitProducerRequest, InitProducerResponse
from streamkeep_proto.v1.coordinator_pb2 import (
    BrokerInfo,
    CoordinatorInfo,
    GetMetadataRequest,
    GetMetadataResponse,
    PartitionInfo,
    TopicInfo,
)
from streamkeep_proto.v1.errors_pb2 import LeaderHint
from tests.unit.sdk.fake_broker import FakeBroker
from tests.unit.sdk.fake_partition import FakePartition


class FakeCluster:
    """The store, and what the tests change in it."""

    def __init__(self) -> None:
        self.addresses: dict[int, str] = {}
        self.coordinator_address = ""
        self.topics: dict[str, list[FakePartition]] = {}
        self.metadata_index = 1
        self.metadata_calls = 0
        self.produce_errors: deque[StreamkeepError] = deque()
        """Answers to the next batches, instead of storing them."""
        self.offset_errors: deque[StreamkeepError] = deque()
        """Answers to the next questions for offsets."""
        self.swallow_results = 0
        """So many results are stored but never answered; the stream then ends."""
        self.produce_requests: list[int] = []
        """Number of batches in each produce request."""
        self.racks: dict[str, int] = {}
        """Broker that follows every partition and is read by clients of a rack."""
        self.fetch_starts: list[tuple[int, str, bool]] = []
        """Of every subscription: the broker, the reader's rack, and whether it was sent there."""
        self.follower_errors: deque[StreamkeepError] = deque()
        """Answers of followers to the next subscriptions."""
        self.max_slice_bytes = 1 << 20
        self.unconfirmed = False
        self._last_producer_id = 0

    async def serve_coordinator(self, network: Network, address: str) -> None:
        listener = await network.serve(
            address, [Service(METADATA_SERVICE, {GET_METADATA: self._get_metadata}, {})]
        )
        self.coordinator_address = listener.address

    async def serve_broker(self, network: Network, broker_id: int, address: str) -> None:
        broker = FakeBroker(self, broker_id)
        service = Service(
            BROKER_SERVICE,
            {
                INIT_PRODUCER: self._init_producer,
                LIST_OFFSETS: broker.list_offsets,
                DELETE_RECORDS: broker.delete_records,
            },
            {PRODUCE: broker.produce, FETCH: broker.fetch},
        )
        listener = await network.serve(address, [service])
        self.addresses[broker_id] = listener.address

    def create_topic(self, name: str, partitions: int = 1) -> list[FakePartition]:
        """Leaders are spread over the brokers that serve."""
        self.metadata_index += 1
        topic_id = f"{name}-{self.metadata_index}".encode().ljust(16, b"\0")[:16]
        brokers = list(self.addresses)
        self.topics[name] = [
            FakePartition(topic_id, number, brokers[number % len(brokers)]) for number in range(partitions)
        ]
        return self.topics[name]

    def delete_topic(self, name: str) -> None:
        self.metadata_index += 1
        del self.topics[name]

    def move_leader(self, name: str, number: int, broker_id: int) -> None:
        """0 = no leader."""
        self.metadata_index += 1
        partition = self.topics[name][number]
        partition.leader = broker_id
        partition.leader_epoch += 1
        partition.notify()

    def find(self, topic_id: bytes, number: int) -> FakePartition:
        for partitions in self.topics.values():
            if partitions[0].topic_id == topic_id:
                if number >= len(partitions):
                    raise UnknownPartitionError
                return partitions[number]
        raise UnknownTopicError

    def hint(self, partition: FakePartition) -> LeaderHint:
        return LeaderHint(
            broker_id=partition.leader,
            address=self.addresses.get(partition.leader, ""),
            leader_epoch=partition.leader_epoch,
        )

    async def _get_metadata(self, request: GetMetadataRequest, _info: CallInfo) -> GetMetadataResponse:
        self.metadata_calls += 1
        return GetMetadataResponse(
            cluster_id="fake",
            metadata_index=self.metadata_index,
            coordinators=[CoordinatorInfo(coordinator_id=1, address=self.coordinator_address, active=True)],
            brokers=[BrokerInfo(broker_id=number, address=at) for number, at in self.addresses.items()],
            topics=[self._topic_info(name) for name in request.names],
        )

    def _topic_info(self, name: str) -> TopicInfo:
        partitions = self.topics.get(name)
        if partitions is None:
            return TopicInfo(name=name, error=to_proto(UnknownTopicError()))
        return TopicInfo(
            name=name,
            topic_id=partitions[0].topic_id,
            partitions=[
                PartitionInfo(
                    partition=partition.number,
                    leader=partition.leader,
                    leader_epoch=partition.leader_epoch,
                    partition_epoch=partition.leader_epoch,
                )
                for partition in partitions
            ],
        )

    async def _init_producer(self, _request: InitProducerRequest, _info: CallInfo) -> InitProducerResponse:
        self._last_producer_id += 1
        return InitProducerResponse(producer_id=self._last_producer_id)
