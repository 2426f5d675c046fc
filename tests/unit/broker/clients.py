"""Clients of the broker's streams, for tests: they speak the protocol by hand and hide nothing."""

from __future__ import annotations

from collections.abc import Sequence

from streamkeep_common.methods import FETCH, PRODUCE
from streamkeep_common.records import Codec, decode_batch, encode_batch
from streamkeep_common.seams import Channel, ClientStream
from streamkeep_proto.v1.broker_pb2 import (
    Closing,
    FetchCredit,
    FetchedPartition,
    FetchRequest,
    FetchResponse,
    FetchStart,
    PartitionBatch,
    ProduceRequest,
    ProduceResponse,
    ProduceResult,
)
from streamkeep_proto.v1.errors_pb2 import LeaderHint
from streamkeep_proto.v1.records_pb2 import RecordBatch

NOW_MS = 1_700_000_000_000
MIB = 1024 * 1024


def make_batch(
    values: Sequence[bytes],
    *,
    sequence: int = 0,
    producer_id: int = 1,
    producer_epoch: int = 0,
    codec: Codec = Codec.NONE,
    timestamp_ms: int = NOW_MS,
) -> RecordBatch:
    """A batch as a producer sends it."""
    return encode_batch(
        values=values,
        timestamps_ms=timestamp_ms,
        codec=codec,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=sequence,
    )


def item(
    topic_id: bytes, batch: RecordBatch | None, *, partition: int = 0, leader_epoch: int = 0
) -> PartitionBatch:
    """One partition's part of a request."""
    return PartitionBatch(topic_id=topic_id, partition=partition, leader_epoch=leader_epoch, batch=batch)


class Producer:
    """A produce stream whose results are collected in the order in which they come."""

    def __init__(self, channel: Channel) -> None:
        self.stream: ClientStream[ProduceRequest, ProduceResponse] = channel.open(PRODUCE)
        self.results: list[ProduceResult] = []
        self.responses = 0
        self.closing: Closing | None = None
        self.unconfirmed = False
        self._next_request = 0

    async def send(self, *batches: PartitionBatch) -> int:
        """Send one request; returns its id."""
        self._next_request += 1
        await self.stream.send(ProduceRequest(request_id=self._next_request, batches=batches))
        return self._next_request

    async def receive(self) -> bool:
        """Take one response; False at the end of the stream."""
        response = await self.stream.receive()
        if response is None:
            return False
        self.responses += 1
        self.results.extend(response.results)
        self.unconfirmed = response.leadership_unconfirmed
        if response.HasField("closing"):
            self.closing = response.closing
        return True

    async def until(self, count: int) -> list[ProduceResult]:
        """All results, once there are `count` of them."""
        while len(self.results) < count:
            assert await self.receive(), "the stream ended before all results came"
        return self.results

    async def produce(self, *batches: PartitionBatch) -> list[ProduceResult]:
        """Send one request and return its results."""
        request_id = await self.send(*batches)
        while sum(result.request_id == request_id for result in self.results) < len(batches):
            assert await self.receive(), "the stream ended before all results came"
        return [result for result in self.results if result.request_id == request_id]


class Fetcher:
    """A fetch stream; what came is kept by subscription."""

    def __init__(self, channel: Channel) -> None:
        self.stream: ClientStream[FetchRequest, FetchResponse] = channel.open(FETCH)
        self.partitions: list[FetchedPartition] = []
        self.responses: list[FetchResponse] = []
        self.closing: Closing | None = None

    async def start(
        self,
        topic_id: bytes,
        *,
        subscription: int = 1,
        partition: int = 0,
        offset: int = 0,
        credit: int = MIB,
        leader_epoch: int = 0,
        last_read_epoch: int = 0,
        rack: str = "",
        from_follower: bool = False,
    ) -> None:
        start = FetchStart(
            subscription=subscription,
            topic_id=topic_id,
            partition=partition,
            offset=offset,
            leader_epoch=leader_epoch,
            last_read_epoch=last_read_epoch,
            credit_bytes=credit,
            rack=rack,
            from_follower=from_follower,
        )
        await self.stream.send(FetchRequest(start=[start]))

    async def credit(self, amount: int, *, subscription: int = 1) -> None:
        await self.stream.send(FetchRequest(credit=[FetchCredit(subscription=subscription, bytes=amount)]))

    async def stop(self, subscription: int = 1) -> None:
        await self.stream.send(FetchRequest(stop=[subscription]))

    async def receive(self) -> FetchResponse | None:
        response = await self.stream.receive()
        if response is not None:
            self.responses.append(response)
            self.partitions.extend(response.partitions)
            if response.HasField("closing"):
                self.closing = response.closing
        return response

    async def until_values(self, count: int, *, subscription: int = 1) -> list[bytes]:
        """The values of a subscription, once there are `count` of them."""
        while len(values := self.values(subscription)) < count:
            assert await self.receive() is not None, "the stream ended before all values came"
        return values

    async def until_error(self, *, subscription: int = 1) -> FetchedPartition:
        """The end of a subscription."""
        while True:
            for partition in self.partitions:
                if partition.subscription == subscription and partition.HasField("error"):
                    return partition
            assert await self.receive() is not None, "the stream ended before the error came"

    async def until_sent_away(self, *, subscription: int = 1) -> LeaderHint:
        """The replica that a subscription ended for."""
        while True:
            for partition in self.partitions:
                if partition.subscription == subscription and partition.HasField("preferred_replica"):
                    return partition.preferred_replica
            assert await self.receive() is not None, "the stream ended before a replica was named"

    def values(self, subscription: int = 1) -> list[bytes]:
        return [
            value
            for batch in self.batches(subscription)
            for value in decode_batch(batch).values
            if value is not None
        ]

    def batches(self, subscription: int = 1) -> list[RecordBatch]:
        return [
            batch
            for partition in self.partitions
            if partition.subscription == subscription
            for batch in partition.data.batches
        ]
