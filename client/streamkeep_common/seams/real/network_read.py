"""Reads that survive their reader.

In grpc.aio, cancelling a pending read ends the call (on the client) or loses the message (on the
server). So that `asyncio.timeout` around a `receive` is harmless, the read runs in a task of its own and
is handed to the next `receive` if the one that began it went away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PatientReader(Generic[T]):
    """At most one read is under way. `read` must tell failures in what it returns, not raise them:
    nobody may be there to take an exception."""

    def __init__(self, read: Callable[[], Awaitable[T]]) -> None:
        self._read = read
        self._pending: asyncio.Task[T] | None = None

    async def next(self) -> T:
        if self._pending is None:
            self._pending = asyncio.ensure_future(self._run())
        await asyncio.wait((self._pending,))
        outcome = self._pending.result()
        self._pending = None
        return outcome

    async def _run(self) -> T:
        return await self._read()

    def close(self) -> None:
        """Give up the read that is under way, if there is one."""
        if self._pending is not None:
            self._pending.cancel()
