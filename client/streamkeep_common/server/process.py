"""The life of a server process: start, say so, serve, stop when told, and leave with a clear word.

Knows nothing of what the component does.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import logging
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Final, NoReturn, Protocol

from streamkeep_common.errors import StreamkeepError
from streamkeep_common.server.metrics import Metrics, MetricsEndpoint

STOP_SLACK_S: Final = 1.0
"""What stopping may take beyond the time for requests to finish; the rest is left to recovery."""

_logger = logging.getLogger(__name__)


class Component(Protocol):
    """A broker or a coordinator."""

    @property
    def address(self) -> str:
        """host:port where it serves, once started."""
        ...

    async def start(self) -> None:
        """Serve. StreamkeepError or OSError say to the operator why it cannot."""
        ...

    async def stop(self) -> None:
        """Stop serving and leave everything in order. May follow a `start` that was cancelled."""
        ...


OnFailure = Callable[[Exception], None]
Make = Callable[[OnFailure], Component]


def run(
    make: Make,
    *,
    role: str,
    node_id: int,
    metrics: Metrics,
    metrics_address: str | None,
    stop_timeout_s: float,
    debug: bool = False,
) -> NoReturn:
    """Run a component until SIGTERM or SIGINT, and end the process: 0 stopped in order, 1 failed.

    `make` is called in the running event loop, with a function by which the component reports that it
    cannot go on. Once it has started, one line of JSON on stdout says where it is reached. Stopping
    takes `stop_timeout_s` and STOP_SLACK_S at most; a second signal ends the process at once. An expected
    failure is told in one sentence on stderr, with the traceback only if `debug`.
    """
    _raise_descriptor_limit()
    life = _Life(role, node_id, stop_timeout_s + STOP_SLACK_S)
    code = 1
    try:
        stopped = asyncio.new_event_loop().run_until_complete(life.run(make, metrics, metrics_address))
        code = 0 if stopped else 1
    except (StreamkeepError, OSError) as error:
        _tell(f"streamkeep {role} {node_id}: {_sentence(error)}", traceback_too=debug)
    except Exception:
        _tell(f"streamkeep {role} {node_id}: ended by a bug", traceback_too=True)
    # Not sys.exit: a thread that waits for a dead disk must not keep a stopped process from ending.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Life:
    def __init__(self, role: str, node_id: int, stop_timeout_s: float) -> None:
        self._role = role
        self._node_id = node_id
        self._stop_timeout_s = stop_timeout_s
        self._signals = 0

    async def run(self, make: Make, metrics: Metrics, metrics_address: str | None) -> bool:
        """Whether it stopped in order and in time. Raises what kept it from starting or going on."""
        loop = asyncio.get_running_loop()
        self._end: asyncio.Future[None] = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        endpoint = MetricsEndpoint(metrics)
        bound = await endpoint.start(metrics_address) if metrics_address else None
        component = make(self._on_failure)
        if await self._start(component):
            self._announce(component.address, bound)
            _settle_memory()
            await asyncio.wait((self._end,))
        stopped = await self._stop(component)
        await endpoint.stop()
        self._end.result()  # raises what the component reported
        return stopped

    async def _start(self, component: Component) -> bool:
        """False if it was told to stop first."""
        starting = asyncio.ensure_future(component.start())
        await asyncio.wait((starting, self._end), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
        try:
            await starting
        except asyncio.CancelledError:
            return False
        return True

    async def _stop(self, component: Component) -> bool:
        stopping = asyncio.ensure_future(component.stop())
        await asyncio.wait((stopping,), timeout=self._stop_timeout_s)
        if not stopping.done():
            _logger.warning("not stopped after %s s: the rest is left to recovery", self._stop_timeout_s)
            return False
        stopping.result()
        return True

    def _announce(self, address: str, metrics_address: str | None) -> None:
        ready = {
            "ready": self._role,
            "id": self._node_id,
            "address": address,
            "metrics": metrics_address,
        }
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()

    def _on_signal(self) -> None:
        self._signals += 1
        if self._signals > 1:
            os._exit(1)
        if not self._end.done():
            self._end.set_result(None)

    def _on_failure(self, error: Exception) -> None:
        if not self._end.done():
            self._end.set_exception(error)


def _raise_descriptor_limit() -> None:
    """Every connection and every open segment takes a descriptor; the soft limit is made for shells."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _settle_memory() -> None:
    """What lives after the start lives until the end: the collector need not walk it again and again.

    Starting leaves holes in the heap; glibc gives about 3 MiB of them back when it is asked.
    """
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error)


def _tell(sentence: str, *, traceback_too: bool) -> None:
    if traceback_too:
        traceback.print_exc()
    sys.stderr.write(sentence + "\n")
