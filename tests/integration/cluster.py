"""A cluster of real processes on free ports of the loopback, for tests that start, kill and restart them.

    async with Cluster(tmp_path, brokers=1) as cluster:
        Producer(cluster.bootstrap) ...
        cluster.brokers[1].kill()

    async with Cluster(tmp_path, coordinators=3, brokers=0, links=Links()) as cluster:
        cluster.links.cut("coordinator-1", "coordinator-2")

Each process has a data directory of its own and keeps its address over restarts.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from streamkeep import Admin
from tests.integration.links import Links

READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
ANY_PORT = "127.0.0.1:0"


class ServerProcess:
    """One server: started, stopped, killed, paused and started again."""

    def __init__(self, module: str, name: str, folder: Path, flags: Mapping[str, str]) -> None:
        self.name = name
        self.folder = folder
        self.flags = dict(flags)
        self.address = ANY_PORT
        self.ready: dict[str, Any] = {}
        self.on_spawned: Callable[[int], None] = lambda pid: None
        self._module = module
        self._process: asyncio.subprocess.Process | None = None

    @property
    def log_path(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait for its ready line; later starts listen where the first one did."""
        flags = {"metrics-listen": "", **self.flags, "listen": self.address, "log-level": "info"}
        arguments = [item for name, value in flags.items() for item in (f"--{name}", value)]
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self._module, *arguments, stdout=subprocess.PIPE, stderr=log
            )
        self.on_spawned(self.pid)
        assert self._process.stdout is not None
        async with asyncio.timeout(READY_TIMEOUT_S):
            line = await self._process.stdout.readline()
        if not line:
            raise AssertionError(f"{self.name} did not start:\n{self.log_path.read_text()}")
        self.ready = json.loads(line)
        self.address = self.ready["address"]

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """SIGKILL: nothing is flushed, nobody is told."""
        await self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP: its connections stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    async def restart(self) -> None:
        """Start again after `stop` or `kill`."""
        await self.start()

    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self.name} was not started"
        self._process.send_signal(number)

    async def _end(self, number: signal.Signals) -> int:
        assert self._process is not None, f"{self.name} was not started"
        if self.is_running():
            self._signal(number)
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode


class Cluster:
    """Coordinators and brokers, each numbered from 1. `coordinator` is the first of them.

    With `links` each coordinator is reached through a proxy, so that any two processes can be cut off from
    each other; without, several coordinators are made a cluster as soon as they have addresses.
    """

    def __init__(
        self,
        folder: Path,
        *,
        coordinators: int = 1,
        brokers: int = 1,
        coordinator_flags: Mapping[str, str] | None = None,
        broker_flags: Mapping[str, str] | None = None,
        links: Links | None = None,
    ) -> None:
        self.folder = folder
        self.links = links
        self.coordinators = {
            number: _server(folder, "coordinator", number, "data-dir", coordinator_flags or {})
            for number in range(1, coordinators + 1)
        }
        self.brokers = {
            number: _server(folder, "broker", number, "data-dirs", broker_flags or {})
            for number in range(1, brokers + 1)
        }
        self._addresses: dict[int, str] = {}

    @property
    def coordinator(self) -> ServerProcess:
        return self.coordinators[1]

    @property
    def bootstrap(self) -> str:
        return ",".join(self._addresses.values())

    @property
    def servers(self) -> Sequence[ServerProcess]:
        return [*self.coordinators.values(), *self.brokers.values()]

    def coordinator_address(self, number: int) -> str:
        """Where everybody else reaches it."""
        return self._addresses[number]

    async def __aenter__(self) -> Self:
        try:
            await self._start_coordinators()
            for broker in self.brokers.values():
                broker.flags["coordinators"] = self.bootstrap
            await asyncio.gather(*(self.start(broker) for broker in self.brokers.values()))
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self, server: ServerProcess) -> None:
        """Start or restart one process; its links know it before it dials anybody."""
        if self.links is not None:
            server.on_spawned = partial(self.links.register, server.name)
        await server.start()
        if self.links is not None:
            self.links.forward(server.name, server.address)

    async def close(self) -> None:
        """End every process, whatever state it is in."""
        for server in self.servers:
            if server.is_running():
                await server.kill()
        if self.links is not None:
            await self.links.close()

    async def _start_coordinators(self) -> None:
        if self.links is not None:
            for number, server in self.coordinators.items():
                self._addresses[number] = server.flags["advertised"] = await self.links.open(server.name)
            members = ",".join(f"{number}@{address}" for number, address in self._addresses.items())
            for server in self.coordinators.values():
                server.flags["initial-members"] = members
        elif len(self.coordinators) == 1:
            self.coordinator.flags["initial-members"] = "1"
        await asyncio.gather(*(self.start(server) for server in self.coordinators.values()))
        if self.links is None:
            self._addresses = {number: server.address for number, server in self.coordinators.items()}
        if self.links is None and len(self.coordinators) > 1:
            async with Admin(self.bootstrap) as admin:
                await admin.initialize_cluster(list(self._addresses.items()))


def _server(
    folder: Path, role: str, number: int, directory_flag: str, flags: Mapping[str, str]
) -> ServerProcess:
    name = f"{role}-{number}"
    own = {"id": str(number), directory_flag: str(folder / name)}
    return ServerProcess(f"streamkeep_{role}", name, folder, {**own, **flags})
