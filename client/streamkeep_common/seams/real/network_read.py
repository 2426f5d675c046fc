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
    """`read` gives the next message or the end; it raises nothing, for nobody may be there to take it.

    A task reads as long as there is credit. It never waits for demand: a stream that nobody holds any
    more leaves no task behind once its call has ended.
    """

    def __init__(self, read: Callable[[], Awaitable[bytes | End]]) -> None:
        self._read = read
        self._messages: deque[bytes | End] = deque()
        self._credit = 0
        self._task: asyncio.Task[None] | None = None
        self._arrival: asyncio.Future[None] | None = None

    async def next(self) -> bytes | End:
        """The next message, or for ever the end. For one task at a time."""
        while not self._messages:
            self._credit = READ_AHEAD_BYTES
            if self._task is None:
                self._task = asyncio.ensure_future(self._use_credit())
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        if isinstance(self._messages[0], bytes):
            return self._messages.popleft()
        return self._messages[0]

    def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()

    async def _use_credit(self) -> None:
        message: bytes | End = b""
        while self._credit > 0 and isinstance(message, bytes):
            message = await self._read()
            self._messages.append(message)
            self._credit -= len(message) if isinstance(message, bytes) else 0
            if self._arrival is not None and not self._arrival.done():
                self._arrival.set_result(None)
        self._task = None
