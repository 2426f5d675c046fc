"""Links between processes of one machine that can be cut: a proxy for each pair of who dials and who listens.

    links = Links()
    await links.open(["coordinator-1", "broker-1"])
    links.address("broker-1")                  # what the server advertises; who dials it is the "client"
    links.routes("coordinator-1")              # where that process has to dial instead of what is advertised
    links.forward("broker-1", real_address)    # once it listens
    links.cut("coordinator-1", "broker-1")     # both directions

A cut link is silent: connections stay open and carry nothing, as behind a pulled cable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

CHUNK_BYTES = 256 * 1024
CLIENT = "client"


class Links:
    """All proxies of one cluster."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._addresses: dict[tuple[str, str], str] = {}
        self._targets: dict[str, str] = {}
        self._cut: set[tuple[str, str]] = set()
        self._moved = asyncio.Event()
        self._tasks: dict[asyncio.Task[None], None] = {}

    async def open(self, names: Sequence[str]) -> None:
        """Listen for the servers of these names, apart for each other one and for clients."""
        for target in names:
            for dialer in (CLIENT, *names):
                if dialer != target:
                    serve = partial(self._serve, dialer, target)
                    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=CHUNK_BYTES)
                    self._servers.append(server)
                    host, port = server.sockets[0].getsockname()
                    self._addresses[dialer, target] = f"{host}:{port}"

    def address(self, target: str) -> str:
        """host:port that the server of that name advertises."""
        return self._addresses[CLIENT, target]

    def routes(self, dialer: str) -> Mapping[str, str]:
        """By advertised address, where that server dials."""
        return {
            self.address(target): address
            for (each, target), address in self._addresses.items()
            if each == dialer
        }

    def forward(self, name: str, address: str) -> None:
        """The server of that name listens there now."""
        self._targets[name] = address

    def cut(self, one: str, other: str) -> None:
        """Nothing passes between the two any more."""
        self.cut_one_way(one, other)
        self.cut_one_way(other, one)

    def cut_one_way(self, sender: str, receiver: str) -> None:
        self._cut.add((sender, receiver))

    def heal(self) -> None:
        """All links carry again, what waited first."""
        self._cut.clear()
        self._moved.set()
        self._moved = asyncio.Event()

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(
        self, dialer: str, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = None
        try:
            await self._passable(dialer, name)
            host, _, port = self._targets[name].rpartition(":")
            upstream_reader, upstream_writer = await asyncio.open_connection(host, int(port))
        except (KeyError, OSError, asyncio.CancelledError):  # it does not listen yet, or any more
            writer.close()
            del self._tasks[task]
            return
        pumps = [
            asyncio.ensure_future(self._pump(dialer, name, reader, upstream_writer)),
            asyncio.ensure_future(self._pump(name, dialer, upstream_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass
        finally:
            for pump in pumps:
                pump.cancel()
            writer.close()
            upstream_writer.close()
            del self._tasks[task]

    async def _pump(
        self, sender: str, receiver: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await self._passable(sender, receiver)
                writer.write(data)
                await writer.drain()
            await self._passable(sender, receiver)

    async def _passable(self, sender: str, receiver: str) -> None:
        while (sender, receiver) in self._cut:
            await self._moved.wait()
