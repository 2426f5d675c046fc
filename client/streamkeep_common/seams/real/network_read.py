"""Reading a stream ahead of, and independently of, whoever receives from it.

In grpc.aio, cancelling a pending read ends the call (on the client) or loses the message (on the
server). So a task of the stream's own reads, and an `asyncio.timeout` around a `receive` is harmless:
what arrives later goes to the next `receive`. Reading small messages ahead also pays for the extra hop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from streamkeep_common.seams.network import RpcError

READ_AHEAD_BYTES: Final = 64 * 1024
"""What may be read before somebody asks for more. The last message of it may be of any allowed size."""

End = RpcError | None
"""How a stream ended: badly, or well."""


class Reader:
    """`read` gives the next message or the end; it raises nothing, for nobody may be there to take it."""

    def __init__(self, read: Callable[[], Awaitable[bytes | End]]) -> None:
        self._read = read
        self._messages: deque[bytes | End] = deque()
        self._credit = 0
        self._task: asyncio.Task[None] | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._demand: asyncio.Future[None] | None = None

    async def next(self) -> bytes | End:
        """The next message, or for ever the end. For one task at a time."""
        while not self._messages:
            self._ask()
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        if isinstance(self._messages[0], bytes):
            return self._messages.popleft()
        return self._messages[0]

    def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()

    def _ask(self) -> None:
        self._credit = READ_AHEAD_BYTES
        if self._task is None:
            self._task = asyncio.ensure_future(self._read_to_the_end())
        elif self._demand is not None:
            _wake(self._demand)

    async def _read_to_the_end(self) -> None:
        message: bytes | End = b""
        while isinstance(message, bytes):
            if self._credit <= 0:
                self._demand = asyncio.get_running_loop().create_future()
                await self._demand
            message = await self._read()
            self._messages.append(message)
            if isinstance(message, bytes):
                self._credit -= len(message)
            if self._arrival is not None:
                _wake(self._arrival)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
