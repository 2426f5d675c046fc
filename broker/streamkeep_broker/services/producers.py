"""InitProducer: producer ids out of blocks that the active coordinator allocates. DescribeProducers: what a
partition knows of those who wrote to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from heapq import nlargest

from streamkeep_broker.log.producer_states import ProducerState
from streamkeep_broker.replication.partitions import Partitions
from streamkeep_common.errors import StreamkeepError, to_proto
from streamkeep_common.seams import CallInfo
from streamkeep_proto.v1.broker_pb2 import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    InitProducerRequest,
    InitProducerResponse,
    ProducerInfo,
)

MAX_PRODUCERS = 10_000
"""That an answer tells of."""

AllocateBlock = Callable[[], Awaitable[range]]


class ProducersService:
    """Hands out ids that no other producer of the cluster ever gets; what is left of a block dies with us."""

    def __init__(self, *, allocate_block: AllocateBlock, partitions: Partitions) -> None:
        self._partitions = partitions
        self._allocate_block = allocate_block
        self._block = iter(range(0))
        self._allocating = asyncio.Lock()

    async def init_producer(self, _request: InitProducerRequest, _call: CallInfo) -> InitProducerResponse:
        """A new producer id, epoch 0."""
        try:
            return InitProducerResponse(producer_id=await self._next_id(), producer_epoch=0)
        except StreamkeepError as error:
            return InitProducerResponse(error=to_proto(error))

    async def _next_id(self) -> int:
        async with self._allocating:  # so that callers who arrive together take one block, not many
            producer_id = next(self._block, None)
            if producer_id is None:
                self._block = iter(await self._allocate_block())
                producer_id = next(self._block)
            return producer_id

    async def describe_producers(
        self, request: DescribeProducersRequest, _call: CallInfo
    ) -> DescribeProducersResponse:
        """Those that a partition remembers, if this broker leads it."""
        try:
            partition = self._partitions.find(request.topic_id, request.partition)
            partition.check_leads(request.leader_epoch)
        except StreamkeepError as error:
            return DescribeProducersResponse(error=to_proto(error))
        known = partition.log.producers.by_id
        latest = nlargest(MAX_PRODUCERS, known.items(), key=lambda each: each[1].batches[-1].next_offset)
        return DescribeProducersResponse(producers=map(_described, latest), total=len(known))


def _described(producer: tuple[int, ProducerState]) -> ProducerInfo:
    producer_id, state = producer
    last = state.batches[-1]
    return ProducerInfo(
        producer_id=producer_id,
        producer_epoch=state.epoch,
        last_sequence=last.last_sequence,
        last_offset=last.next_offset - 1,
        last_append_time_ms=last.append_time_ms,
    )
