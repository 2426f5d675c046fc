"""One message of a server on its way to gRPC, independently of whoever sends it.

In grpc.aio, cancelling a write leaves a message behind of which nobody can say when it is out. A task of its
own would be a way round that; but it takes three more passes of the event loop, on the way of every record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Writing:
    """A write that has begun, and is carried on by the futures that it waits for."""

    def __init__(self, write: Coroutine[Any, None, None]) -> None:
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._is_over = False
        self._outcome: asyncio.Future[BaseException | None] = self._loop.create_future()
        self._go_on()

    async def wait(self) -> None:
        """Until the message is out. Raises what the write raises; to cancel this leaves the write alone."""
        error = await self._outcome
        if error is not None:
            raise error

    async def settle(self) -> None:
        """Wait for the message after a `wait` was cancelled; whether it is out does not matter any more."""
        if not self._is_over:
            self._outcome = self._loop.create_future()
            await self._outcome

    def _go_on(self, _awaited: asyncio.Future[Any] | None = None) -> None:
        try:
            awaited = self._write.send(None)
        except StopIteration:
            self._end(None)
        except (Exception, asyncio.CancelledError) as error:
            self._end(error)
        else:
            assert asyncio.isfuture(awaited), "gRPC waits for nothing else"
            awaited._asyncio_future_blocking = False  # a task says so, too, that it knows what it is given
            awaited.add_done_callback(self._go_on)

    def _end(self, error: BaseException | None) -> None:
        self._is_over = True
        if not self._outcome.done():
            self._outcome.set_result(error)
