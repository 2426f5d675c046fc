"""A consumer on the loop, with a place where a batch lies between its arrival and the thread that reads it.

A thread that waits may leave at any moment (Ctrl-C). So what has arrived is never the outcome of a call,
which would be lost then: it lies in `arrived` until the thread has taken it, or until it is put back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from streamkeep.consumer.consumer import Consumer
from streamkeep.consumer.records import ConsumedBatch, Record
from streamkeep.errors import RecordDecodeError


class LoopConsumer(Consumer[Any, Any]):
    """The methods of this class are called on the loop, unless they say otherwise."""

    arrived: ConsumedBatch[Any, Any] | None = None
    failure: RecordDecodeError | None = None
    """As `arrived`, for what cannot be read and is raised only once."""

    _stopping: asyncio.Task[None] | None = None

    def __del__(self) -> None:
        """The handle complains."""

    async def arrive(self) -> None:
        """Until there is a batch."""
        try:
            self.arrived = self.arrived or await self._next_batch()
        except RecordDecodeError as error:
            self.failure = error

    async def arrive_by(self, batches: AsyncGenerator[ConsumedBatch[Any, Any], None]) -> bool:
        """Until there is a batch of those; False if there are no more."""
        try:
            self.arrived = await anext(batches)
        except StopAsyncIteration:
            return False
        except RecordDecodeError as error:
            self.failure = error
        return True

    async def settle(self) -> None:
        """Put back what nobody took. A failure that nobody heard of is behind us all the same."""
        batch, self.arrived = self.arrived, None
        if batch is not None:
            self._put_back(batch)

    def stop(self, batches: AsyncGenerator[ConsumedBatch[Any, Any], None]) -> None:
        """Nobody reads these any more."""
        self._stopping = asyncio.ensure_future(self._stop(batches))

    async def _stop(self, batches: AsyncGenerator[ConsumedBatch[Any, Any], None]) -> None:
        if not self._closed:
            await self.settle()
        await batches.aclose()

    # --- the thread that reads ---

    @property
    def at_hand(self) -> Iterator[Record[Any, Any]]:
        """The records that are being handed out one by one."""
        return self._records

    def pick(self) -> ConsumedBatch[Any, Any]:
        """What has arrived, as it is. Raises what cannot be read."""
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        batch, self.arrived = self.arrived, None
        assert batch is not None, "who picks has waited until there was something"
        return batch

    def begin(self) -> None:
        """What has arrived is now at hand. Raises what cannot be read."""
        if self.arrived is None:
            self.pick()
        else:
            records = iter(self.arrived.records())
            # No call between these: Ctrl-C strikes before all of them or behind.
            self._batch, self._records, self.arrived = self.arrived, records, None
