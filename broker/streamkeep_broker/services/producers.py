"""InitProducer: producer ids out of blocks that the active coordinator allocates."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from streamkeep_common.errors import StreamkeepError, to_proto
from streamkeep_common.seams import CallInfo
from streamkeep_proto.v1.broker_pb2 import InitProducerRequest, InitProducerResponse

AllocateBlock = Callable[[], Awaitable[range]]


class ProducersService:
    """Hands out ids that no other producer of the cluster ever gets; what is left of a block dies with us."""

    def __init__(self, *, allocate_block: AllocateBlock) -> None:
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
