"""The SDK's test double: one coordinator and some brokers over one store, on any network.

It keeps the rules that a client can see (leaders and epochs, the idempotence window, credit, checksums) and
nothing else: no disk, no replication, every append is readable at once. Tests tell it what goes wrong.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from streamkeep_common.errors import (
    DuplicateSequenceError,
    NotLeaderError,
    OffsetOutOfRangeError,
    OutOfOrderSequenceError,
    StreamkeepError,
    UnknownPartitionError,
    UnknownProducerError,
    UnknownTopicError,
    to_proto,
)
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
from streamkeep_common.records import decode_batch, stamp
from streamkeep_common.seams.network import CallInfo, Network, ServerStream, Service
from streamkeep_proto.v1.broker_pb2 import (
    BY_TIMESTAMP,
    EARLIEST,
    DeletedRecords,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    FetchedPartition,
    FetchRequest,
    FetchResponse,
    InitProducerRequest,
    InitProducerResponse,
    ListedOffset,
    ListOffsetsRequest,
    ListOffsetsResponse,
    PartitionBatch,
    ProduceRequest,
    ProduceResponse,
    ProduceResult,
)
from streamkeep_proto.v1.coordinator_pb2 import (
    BrokerInfo,
    CoordinatorInfo,
    GetMetadataRequest,
    GetMetadataResponse,
    PartitionInfo,
    TopicInfo,
)
from streamkeep_proto.v1.errors_pb2 import LeaderHint
from streamkeep_proto.v1.records_pb2 import LogSegment, RecordBatch

HEARTBEAT_S = 0.4
WINDOW = 5
NOW_MS = 1_700_000_000_000


@dataclass
class FakePartition:
    """One partition's log: stamped frames, and what the last batches of each producer were."""

    topic_id: bytes
    number: int
    leader: int
    leader_epoch: int = 1
    log_start: int = 0
    frames: list[bytes] = field(default_factory=list)
    batches: list[RecordBatch] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def end(self) -> int:
        if not self.batches:
            return self.log_start
        return self.batches[-1].base_offset + self.batches[-1].last_offset_delta + 1

    def append(self, batch: RecordBatch) -> int:
        """The base offset, of the original if this is a duplicate."""
        mine = [known for known in self.batches if known.producer_id == batch.producer_id]
        last = mine[-1] if mine else None
        if last is not None and last.producer_epoch == batch.producer_epoch:
            for known in mine[-WINDOW:]:
                same = (known.base_sequence, known.record_count) == (batch.base_sequence, batch.record_count)
                if same and known.producer_epoch == batch.producer_epoch:
                    return int(known.base_offset)
            if batch.base_sequence < last.base_sequence:
                raise DuplicateSequenceError
            if batch.base_sequence != (last.base_sequence + last.record_count) & 0x7FFFFFFF:
                raise OutOfOrderSequenceError
        elif batch.base_sequence != 0:
            raise UnknownProducerError if last is None else OutOfOrderSequenceError
        header = stamp(
            batch,
            batch.records,
            base_offset=self.end,
            leader_epoch=self.leader_epoch,
            append_time_ms=NOW_MS,
            log_append_time=False,
        )
        frame = header + batch.records
        self.frames.append(frame)
        self.batches.append(LogSegment.FromString(frame).batches[0])
        self.notify()
        return int(self.batches[-1].base_offset)

    def notify(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def values(self) -> list[bytes | None]:
        """All that is stored, in order."""
        return [value for batch in self.batches for value in decode_batch(batch, check=False).values]


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


class FakeBroker:
    """What one broker answers."""

    def __init__(self, cluster: FakeCluster, broker_id: int) -> None:
        self._cluster = cluster
        self._id = broker_id

    def _led(self, topic_id: bytes, number: int) -> FakePartition:
        partition = self._cluster.find(topic_id, number)
        if partition.leader != self._id:
            raise NotLeaderError("elsewhere", leader=self._cluster.hint(partition))
        return partition

    # --- produce ---

    async def produce(self, stream: ServerStream[ProduceRequest, ProduceResponse]) -> None:
        beating = asyncio.ensure_future(self._beat(stream, ProduceResponse))
        try:
            while (request := await stream.receive()) is not None:
                self._cluster.produce_requests.append(len(request.batches))
                results = [self._produce_one(request.request_id, entry) for entry in request.batches]
                if self._cluster.swallow_results:
                    self._cluster.swallow_results -= 1
                    return
                await stream.send(ProduceResponse(results=results))
        finally:
            beating.cancel()

    def _produce_one(self, request_id: int, entry: PartitionBatch) -> ProduceResult:
        result = ProduceResult(request_id=request_id, topic_id=entry.topic_id, partition=entry.partition)
        try:
            partition = self._led(entry.topic_id, entry.partition)
            if self._cluster.produce_errors:
                raise self._cluster.produce_errors.popleft()
            result.base_offset = partition.append(entry.batch)
            result.append_time_ms = NOW_MS
        except StreamkeepError as error:
            result.base_offset = -1
            result.error.CopyFrom(to_proto(error))
        return result

    async def _beat(self, stream: ServerStream[Any, Any], kind: Any) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await stream.send(kind(leadership_unconfirmed=self._cluster.unconfirmed))

    # --- fetch ---

    async def fetch(self, stream: ServerStream[FetchRequest, FetchResponse]) -> None:
        readers: dict[int, asyncio.Task[None]] = {}
        granted: dict[int, _Credit] = {}
        sending = asyncio.Lock()
        tasks = [asyncio.ensure_future(self._beat(stream, FetchResponse))]
        try:
            while (request := await stream.receive()) is not None:
                for start in request.start:
                    assert start.subscription not in granted, "a subscription number is never used twice"
                    credit = granted[start.subscription] = _Credit(start.credit_bytes)
                    reading = asyncio.ensure_future(self._read(stream, sending, start, credit))
                    readers[start.subscription] = reading
                    tasks.append(reading)
                for grant in request.credit:
                    granted[grant.subscription].add(grant.bytes)
                for subscription in request.stop:
                    readers[subscription].cancel()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(
        self,
        stream: ServerStream[FetchRequest, FetchResponse],
        sending: asyncio.Lock,
        start: Any,
        credit: _Credit,
    ) -> None:
        offset = start.offset
        self._cluster.fetch_starts.append((self._id, start.rack, start.from_follower))
        try:
            if self._has_sent_away(start):
                await self._send_away(stream, sending, start)
                return
            while True:
                partition = self._read_here(start)
                if not partition.log_start <= offset <= partition.end:
                    raise OffsetOutOfRangeError(f"{offset} is not in {partition.log_start}..{partition.end}")
                changed = partition.changed
                data, offset = self._slice(partition, offset, credit)
                fetched = FetchedPartition(
                    subscription=start.subscription,
                    high_watermark=partition.end,
                    log_start_offset=partition.log_start,
                    leader_epoch=partition.leader_epoch,
                )
                message = FetchResponse(partitions=[fetched]).SerializeToString()
                if data:
                    fetched.data.CopyFrom(LogSegment.FromString(data))
                    message = FetchResponse(partitions=[fetched]).SerializeToString()
                async with sending:
                    await stream.send(message)
                if not data:
                    waits = [
                        asyncio.ensure_future(changed.wait()),
                        asyncio.ensure_future(credit.given.wait()),
                    ]
                    try:
                        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        for wait in waits:
                            wait.cancel()
        except StreamkeepError as error:
            ended = FetchedPartition(subscription=start.subscription, error=to_proto(error))
            async with sending:
                await stream.send(FetchResponse(partitions=[ended]))

    def _has_sent_away(self, start: Any) -> bool:
        return not start.from_follower and self._cluster.racks.get(start.rack, self._id) != self._id

    async def _send_away(
        self, stream: ServerStream[FetchRequest, FetchResponse], sending: asyncio.Lock, start: Any
    ) -> None:
        partition = self._led(start.topic_id, start.partition)
        near = self._cluster.racks[start.rack]
        hint = LeaderHint(
            broker_id=near, address=self._cluster.addresses[near], leader_epoch=partition.leader_epoch
        )
        ended = FetchedPartition(subscription=start.subscription, preferred_replica=hint)
        async with sending:
            await stream.send(FetchResponse(partitions=[ended]))

    def _read_here(self, start: Any) -> FakePartition:
        if not start.from_follower:
            return self._led(start.topic_id, start.partition)
        if self._cluster.follower_errors:
            raise self._cluster.follower_errors.popleft()
        return self._cluster.find(start.topic_id, start.partition)

    def _slice(self, partition: FakePartition, offset: int, credit: _Credit) -> tuple[bytes, int]:
        data = b""
        for batch, frame in zip(partition.batches, partition.frames, strict=True):
            after = batch.base_offset + batch.last_offset_delta + 1
            if after <= offset:
                continue
            if credit.left <= 0 or len(data) >= self._cluster.max_slice_bytes:
                break
            data += frame
            credit.left -= len(frame)
            offset = after
        credit.given.clear()
        return data, offset

    # --- control ---

    async def list_offsets(self, request: ListOffsetsRequest, _info: CallInfo) -> ListOffsetsResponse:
        return ListOffsetsResponse(offsets=[self._list_one(asked) for asked in request.partitions])

    def _list_one(self, asked: Any) -> ListedOffset:
        answer = ListedOffset(topic_id=asked.topic_id, partition=asked.partition, timestamp_ms=-1)
        try:
            partition = self._led(asked.topic_id, asked.partition)
            if self._cluster.offset_errors:
                raise self._cluster.offset_errors.popleft()
        except StreamkeepError as error:
            answer.error.CopyFrom(to_proto(error))
            return answer
        answer.offset = partition.log_start if asked.position == EARLIEST else partition.end
        if asked.position == BY_TIMESTAMP:
            answer.offset = -1
            for batch in partition.batches:
                columns = decode_batch(batch, check=False)
                found = [
                    o
                    for o, t in zip(columns.offsets, columns.timestamps_ms, strict=True)
                    if t >= asked.timestamp_ms
                ]
                if found:
                    answer.offset = found[0]
                    break
        return answer

    async def delete_records(self, request: DeleteRecordsRequest, _info: CallInfo) -> DeleteRecordsResponse:
        response = DeleteRecordsResponse()
        for asked in request.partitions:
            done = DeletedRecords(topic_id=asked.topic_id, partition=asked.partition)
            try:
                partition = self._led(asked.topic_id, asked.partition)
                partition.log_start = partition.end if asked.before_offset < 0 else asked.before_offset
                done.log_start_offset = partition.log_start
                partition.notify()
            except StreamkeepError as error:
                done.error.CopyFrom(to_proto(error))
            response.partitions.append(done)
        return response


class _Credit:
    """Bytes that may still be sent for one subscription."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.given = asyncio.Event()

    def add(self, size: int) -> None:
        self.left += size
        self.given.set()
