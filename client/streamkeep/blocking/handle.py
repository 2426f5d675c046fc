"""What all blocking classes are: a handle to something of the asyncio SDK that lives on the loop."""

from __future__ import annotations

import asyncio
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from streamkeep.blocking.portal import PORTAL

T = TypeVar("T")


class Closable(Protocol):
    """What lives on the loop."""

    async def close(self) -> None: ...


class Lease:
    """One thing on the loop, from its first use until it is closed.

    It must not know of the handle: that the handle is gone is how a forgotten `close` is noticed.
    """

    def __init__(self, name: str, thing: Closable, on_fork: Callable[[], None] | None) -> None:
        self._on_fork = on_fork
        self._complaint = f"{name} was not closed"
        self._thing = thing
        self._is_taken = False
        self._is_over = False
        self._closing: asyncio.Task[None] | None = None

    def take(self) -> None:
        """It is in use, unless it is over already. RuntimeError if there is no loop to use any more."""
        if not (self._is_taken or self._is_over):
            PORTAL.admit(self)
            self._is_taken = True

    def end(self) -> None:
        """It is being closed, by whoever has the handle."""
        self._is_over = True
        PORTAL.dismiss(self)

    def abandon(self) -> None:
        """The handle is gone: have it closed, without waiting for that, if nobody did."""
        if self._is_taken and not self._is_over:
            PORTAL.post(self._begin_to_close)
            self.complain()

    def forget(self) -> None:
        self._is_over = True
        if self._on_fork is not None:
            self._on_fork()

    def complain(self) -> None:
        if not self._is_over:
            self._is_over = True
            warnings.warn(self._complaint, ResourceWarning, stacklevel=3)

    async def leave(self) -> None:
        self._begin_to_close()
        assert self._closing is not None, "it was begun"
        await self._closing
        PORTAL.dismiss(self)

    def _begin_to_close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._thing.close())
            self._closing.add_done_callback(lambda _closed: PORTAL.dismiss(self))


class Handle(ABC):
    """Crosses over to the loop for whatever is asked.

    `thing` is what the handle is to; `on_fork` is called in the child of a fork, and must wait for no lock.
    """

    _lease: Lease | None = None

    def __init__(self, thing: Closable, *, on_fork: Callable[[], None] | None = None) -> None:
        self._lease = Lease(repr(self), thing, on_fork)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._lease is not None:
            self._lease.abandon()

    @abstractmethod
    def close(self) -> None:
        """Let go of everything."""

    def _call(self, work: Coroutine[Any, Any, T], *, timeout_ms: int | None = None) -> T:
        """The outcome of work on the loop. TimeoutError, and the work is cancelled, after `timeout_ms`."""
        try:
            self._taken().take()
        except BaseException:
            work.close()
            raise
        return PORTAL.call(work, timeout_ms=timeout_ms)

    def _run(self, work: Callable[[], T]) -> T:
        """As `_call`, for what does not wait."""
        return self._call(_at_once(work))

    def _leave(self, closing: Coroutine[Any, Any, None]) -> None:
        """Close what there is. After a fork, or at the interpreter's end, there is nothing any more."""
        if PORTAL.lost:
            closing.close()
        else:
            self._taken().end()
            PORTAL.call(closing)

    def _taken(self) -> Lease:
        assert self._lease is not None, "a handle is made before it is used"
        return self._lease


async def _at_once(work: Callable[[], T]) -> T:
    return work()
