"""What a broker of the fake cluster answers to producers, consumers and administration."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from streamkeep_common.errors import NotLeaderError, OffsetOutOfRangeError, StreamkeepError, to_proto
from streamkeep_common.records import decode_batch
from streamkeep_common.seams.network import CallInfo, ServerStream
from streamkeep_proto.v1.broker_pb2 import (
    BY_TIMESTAMP,
    EARLIEST,
    DeletedRecords,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    FetchedPartition,
    FetchRequest,
    FetchResponse,
    ListedOffset,
    ListOffsetsRequest,
    ListOffsetsResponse,
    PartitionBatch,
    ProduceRequest,
    ProduceResponse,
    ProduceResult,
)
from streamkeep_proto.v1.errors_pb2 import LeaderHint
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.unit.sdk.fake_partition import NOW_MS, FakePartition

if TYPE_CHECKING:
    from tests.unit.sdk.fake_cluster import FakeCluster


HEARTBEAT_S = 0.4


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
                if data:
                    fetched.data.CopyFrom(LogSegment.FromString(data))
                message = FetchResponse(partitions=[fetched]).SerializeToString()
                async with sending:
                    await stream.send(message)
                if not data:
                    await _first_of(changed, credit.given)
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


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
