"""Coordinators and brokers within this process: the shipping code on a network and disks in memory."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from streamkeep.testing.failures import ClusterError
from streamkeep.testing.life import Life
from streamkeep_broker.broker import Broker
from streamkeep_common.seams.memory.addresses import DOMAIN
from streamkeep_common.seams.memory.disk import MemoryDisk
from streamkeep_common.seams.real.clock import RealClock
from streamkeep_common.server.metrics import Metrics
from streamkeep_common.server.process import Component, OnFailure
from streamkeep_common.settings import BrokerSettings, CoordinatorSettings
from streamkeep_coordinator.coordinator import Coordinator

COORDINATOR_SETTINGS: Final = {
    "session_grace_ms": "0",
    "session_timeout_ms": "10000",
    "election_timeout_ms": "3000",
}
"""A connection in memory breaks only because a server was killed, so that says enough; and silence says only
that the machine has too much to do. The first election of a new cluster waits for no timeout."""

BROKER_SETTINGS: Final = {"min_free_bytes": "0"}

_DATA: Final = "/data"
_STOP_S: Final = 5.0
"""No server needs so long; one that does is killed."""

_numbers = itertools.count(1)
_logger = logging.getLogger(__name__)

# What servers log goes where the program under test sends its logs; if that is nowhere, not to stderr.
for _package in ("streamkeep_broker", "streamkeep_coordinator", "streamkeep_common"):
    logging.getLogger(_package).addHandler(logging.NullHandler())

Make = Callable[[Life, MemoryDisk, OnFailure], Component]


class InProcessServers:
    """See `servers.Servers`. Use it in a loop that `life.make_loop` made."""

    def __init__(
        self,
        coordinators: int,
        brokers: int,
        coordinator_settings: Mapping[str, str],
        broker_settings: Mapping[str, str],
    ) -> None:
        domain = f"cluster-{next(_numbers)}{DOMAIN}"
        members = {n: f"coordinator-{n}.{domain}:7101" for n in range(1, coordinators + 1)}
        self.bootstrap = ",".join(members.values())
        self._coordinators = {
            number: _coordinator(number, members, coordinator_settings) for number in members
        }
        self._brokers = {
            number: _broker(number, f"broker-{number}.{domain}:7201", self.bootstrap, broker_settings)
            for number in range(1, brokers + 1)
        }

    @property
    def brokers(self) -> dict[int, bool]:
        return {number: server.is_running for number, server in self._brokers.items()}

    async def start(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for server in (*self._coordinators.values(), *self._brokers.values()):
                    group.create_task(server.start())
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def stop(self) -> None:
        # At once, so that none has to complain about the others; what they would put in order on their way
        # out goes with the memory.
        servers = (*self._brokers.values(), *self._coordinators.values())
        await asyncio.gather(*(server.kill() for server in servers))

    async def start_broker(self, number: int) -> None:
        await self._brokers[number].start()

    async def stop_broker(self, number: int) -> None:
        await self._brokers[number].stop()

    async def kill_broker(self, number: int) -> None:
        await self._brokers[number].kill()


class _Server:
    """A server's disk, and its lives one after the other."""

    def __init__(self, name: str, make: Make) -> None:
        self._name = name
        self._make = make
        self._disk = MemoryDisk(RealClock(), random.Random())  # noqa: S311 - no secrets here
        self._life: Life | None = None
        self._component: Component | None = None

    @property
    def is_running(self) -> bool:
        return self._life is not None and not self._life.is_over

    async def start(self) -> None:
        """Return when it serves. ClusterError says why it cannot."""
        await self.kill()  # what a kill that was cancelled has left
        life = self._life = Life(self._disk)
        failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        try:
            component = self._component = life.call(lambda: self._make(life, self._disk, _first(failed)))
            starting = life.spawn(component.start())
            await asyncio.wait((starting, failed), return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                raise ClusterError(f"{self._name} did not start: {failed.result()}") from failed.result()
            await starting
        except BaseException:
            await self.kill()
            raise
        failed.add_done_callback(self._failed)

    async def stop(self) -> None:
        """As SIGTERM: it hands over and puts its data in order."""
        life, component = self._life, self._component
        if life is None or component is None:
            return
        try:
            async with asyncio.timeout(_STOP_S):
                await life.spawn(component.stop())
        except TimeoutError:
            _logger.warning("%s did not stop within %g s, and was killed", self._name, _STOP_S)
        finally:
            await self.kill()

    async def kill(self) -> None:
        """As SIGKILL."""
        if self._life is not None:
            await self._life.end()

    def _failed(self, failed: asyncio.Future[Exception]) -> None:
        """A process would end with that error."""
        _logger.error("%s cannot go on, and ends: %s", self._name, failed.result())
        asyncio.ensure_future(self.kill()).add_done_callback(_look_at)


def _first(failed: asyncio.Future[Exception]) -> OnFailure:
    def tell(error: Exception) -> None:
        if not failed.done():
            failed.set_result(error)

    return tell


def _look_at(done: asyncio.Future[None]) -> None:
    if not done.cancelled():
        done.result()


def _coordinator(number: int, members: Mapping[int, str], settings: Mapping[str, str]) -> _Server:
    own = {
        "id": str(number),
        "listen": members[number],
        "data_dir": _DATA,
        "initial_members": ",".join(f"{each}@{address}" for each, address in members.items()),
    }
    typed = CoordinatorSettings.of({**COORDINATOR_SETTINGS, **settings, **own})
    return _Server(f"coordinator {number}", lambda *place: Coordinator(typed, **_surroundings(*place)))


def _broker(number: int, address: str, bootstrap: str, settings: Mapping[str, str]) -> _Server:
    own = {"id": str(number), "listen": address, "coordinators": bootstrap, "data_dirs": _DATA}
    typed = BrokerSettings.of({**BROKER_SETTINGS, **settings, **own})
    return _Server(f"broker {number}", lambda *place: Broker(typed, **_surroundings(*place)))


def _surroundings(life: Life, disk: MemoryDisk, on_failure: OnFailure) -> dict[str, Any]:
    return {
        "clock": RealClock(),
        "rng": random.Random(),  # noqa: S311 - for ids and jitter, not for secrets
        "disk": disk,
        "network": life.network,
        "workers": life.workers,
        "metrics": Metrics(),
        "on_failure": on_failure,
    }
