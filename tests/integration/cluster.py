"""A cluster of real processes on free ports of the loopback, for tests that start, kill and restart them.

    async with Cluster(tmp_path, brokers=1) as cluster:
        Producer(cluster.bootstrap) ...
        cluster.brokers[1].kill()

    async with Cluster(tmp_path, coordinators=3, brokers=3, links=Links()) as cluster:
        cluster.links.cut("coordinator-1", "broker-2")

    async with Cluster(tmp_path, coordinators=3, brokers=3, disk_faults=True) as cluster:
        cluster.disk(2).fill()

Each process has a data directory of its own and keeps its address over restarts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from streamkeep import Admin
from tests.integration.disk_faults import DiskFaults
from tests.integration.links import Links
from tests.integration.server_process import ServerProcess


class Cluster:
    """Coordinators and brokers, each numbered from 1. `coordinator` is the first of them.

    With `links` each of them is reached through a proxy, so that any two processes can be cut off from each
    other; without, several coordinators are made a cluster as soon as they have addresses. With `disk_faults`
    the brokers' disks can be made to fill up, to crawl and to hang.
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
        disk_faults: bool = False,
    ) -> None:
        self.folder = folder
        self.links = links
        self.coordinators = {
            number: self._server(
                "coordinator", number, "data-dir", coordinator_flags or {}, faults=links is not None
            )
            for number in range(1, coordinators + 1)
        }
        self.brokers = {
            number: self._server(
                "broker", number, "data-dirs", broker_flags or {}, faults=disk_faults or links is not None
            )
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

    def data_dir(self, broker: int) -> Path:
        """The log directory of that broker."""
        return self.folder / f"broker-{broker}"

    def disk(self, broker: int) -> DiskFaults:
        """What to do to the disk of that broker, in a cluster with `disk_faults`."""
        return DiskFaults(self.data_dir(broker))

    async def __aenter__(self) -> Self:
        try:
            await self._open_links()
            await self._start_coordinators()
            for broker in self.brokers.values():
                broker.flags["coordinators"] = self.bootstrap
            await self._start_all(self.brokers.values())
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self, server: ServerProcess) -> None:
        """Start or restart one process."""
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

    async def _start_all(self, servers: Iterable[ServerProcess]) -> None:
        async with asyncio.TaskGroup() as group:
            for server in servers:
                group.create_task(self.start(server))

    async def _open_links(self) -> None:
        if self.links is not None:
            await self.links.open([server.name for server in self.servers])
        for server in self.servers:
            routes: Mapping[str, str] = {}
            if self.links is not None:
                server.flags["advertised"] = self.links.address(server.name)
                routes = self.links.routes(server.name)
            self._routes(server.name).write_text(json.dumps(routes))

    async def _start_coordinators(self) -> None:
        if self.links is not None:
            for number, server in self.coordinators.items():
                self._addresses[number] = self.links.address(server.name)
            members = ",".join(f"{number}@{address}" for number, address in self._addresses.items())
            for server in self.coordinators.values():
                server.flags["initial-members"] = members
        elif len(self.coordinators) == 1:
            self.coordinator.flags["initial-members"] = "1"
        await self._start_all(self.coordinators.values())
        if self.links is None:
            self._addresses = {number: server.address for number, server in self.coordinators.items()}
        if self.links is None and len(self.coordinators) > 1:
            async with Admin(self.bootstrap) as admin:
                await admin.initialize_cluster(list(self._addresses.items()))

    def _routes(self, name: str) -> Path:
        return self.folder / f"{name}.routes"

    def _server(
        self, role: str, number: int, directory_flag: str, flags: Mapping[str, str], *, faults: bool
    ) -> ServerProcess:
        name = f"{role}-{number}"
        shipping = ["-m", f"streamkeep_{role}"]
        breakable = ["-m", "tests.integration.server_with_faults", role, str(self._routes(name))]
        own = {"id": str(number), directory_flag: str(self.folder / name)}
        return ServerProcess(breakable if faults else shipping, name, self.folder, {**own, **flags})
