"""The event loop on which all blocking clients of a process work, in a thread of its own, and the way to it.

Owns the thread: when it starts, what a fork and the end of the interpreter mean for it. Knows of those who
use it only that they can be told to leave.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

THREAD_NAME = "streamkeep-blocking"

_EXIT_S = 1.0
"""How long the interpreter's end is held up for what is still to be delivered."""
_STUCK_S = 5.0
"""After so long the loop is held to be stuck in code of the user's, and is left behind."""

_FORKED = (
    "this process was forked after streamkeep.blocking had been used in its parent, and neither its thread "
    "nor gRPC survives a fork; start the process with the 'spawn' method, or use the SDK in the child alone"
)
_ENDED = "the interpreter is ending: streamkeep.blocking cannot be used any more"
_ITSELF = "this is the thread of streamkeep.blocking itself: it would wait for itself"


class Tenant(Protocol):
    """What has something on the loop."""

    def forget(self) -> None:
        """In the child of a fork: nothing of it is left. No lock may be waited for."""

    def complain(self) -> None:
        """Say, as a ResourceWarning, that it was not closed."""

    async def leave(self) -> None:
        """Close what there is on the loop."""


class Portal:
    """The way to the loop, from any other thread. The thread starts at the first call; it is a daemon."""

    def __init__(self) -> None:
        self.lost = ""
        """Why nothing can be called any more; empty while it can."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._tenants: dict[Tenant, None] = {}

    def call(self, work: Coroutine[Any, Any, T], *, timeout_ms: int | None = None) -> T:
        """Run a coroutine on the loop and wait for its outcome.

        Whatever ends the wait early, be it time (TimeoutError) or Ctrl-C, cancels it.
        """
        try:
            loop = self._running()
        except BaseException:
            work.close()
            raise
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result(None if timeout_ms is None else timeout_ms / 1_000)
        finally:
            future.cancel()

    def post(self, work: Callable[[*Ts], object], *arguments: *Ts) -> None:
        """Have this done on the loop, some time after what was posted before. Does not wait."""
        self._running(from_anywhere=True).call_soon_threadsafe(work, *arguments)

    def check_may_wait(self) -> None:
        """RuntimeError on the loop's own thread, on which interceptors and serializers are called."""
        if self._thread is threading.current_thread():
            raise RuntimeError(_ITSELF)

    def admit(self, tenant: Tenant) -> None:
        """From now on the tenant is told of the end. Again is once."""
        if self.lost:
            raise RuntimeError(self.lost)
        self._tenants[tenant] = None

    def dismiss(self, tenant: Tenant) -> None:
        """The tenant has left, or is leaving."""
        self._tenants.pop(tenant, None)

    def _running(self, *, from_anywhere: bool = False) -> asyncio.AbstractEventLoop:
        if self.lost:
            raise RuntimeError(self.lost)
        if not from_anywhere:
            self.check_may_wait()
        return self._loop or self._start()

    def _start(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=loop.run_forever, name=THREAD_NAME, daemon=True)
                thread.start()
                atexit.register(self._end)
                self._thread, self._loop = thread, loop
        return self._loop

    # --- the end ---

    def forget(self) -> None:
        """In the child of a fork, which has no other thread than its own: what there was is the parent's."""
        self._starting = threading.Lock()
        if self._loop is None or self.lost:
            return
        self.lost = _FORKED
        for tenant in self._tenants:
            tenant.forget()
        self._tenants.clear()

    def _end(self) -> None:
        """Deliver what there is, as long as that takes no longer than a moment, and end the thread."""
        if self.lost or self._loop is None or self._thread is None:
            return
        tenants = list(self._tenants)
        self._tenants.clear()
        try:
            for tenant in tenants:
                tenant.complain()
        finally:  # where warnings are errors, the first complaint is raised
            self._stop(self._loop, self._thread, tenants)

    def _stop(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread, tenants: list[Tenant]) -> None:
        try:
            self.call(_leave(tenants), timeout_ms=round(_STUCK_S * 1_000))
        finally:
            self.lost = _ENDED
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_EXIT_S)
        if not thread.is_alive():
            loop.close()


async def _leave(tenants: list[Tenant]) -> None:
    """All tenants leave; then what is still going on is cancelled."""
    leaving = [asyncio.ensure_future(tenant.leave()) for tenant in tenants]
    if leaving:
        await asyncio.wait(leaving, timeout=_EXIT_S)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=_EXIT_S)


PORTAL = Portal()
"""The one of this process."""


os.register_at_fork(after_in_child=PORTAL.forget)
