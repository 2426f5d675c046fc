"""Links between processes of one machine that can be cut: a proxy in front of each server.

    links = Links()
    address = await links.open("coordinator-1")      # what the server advertises
    links.forward("coordinator-1", real_address)     # once it listens
    links.cut("coordinator-1", "coordinator-2")      # both directions; "client" is this process

Every connection of the loopback comes from the same address, so a proxy finds out who dialed by whose the
socket is (`socket_owner`). A cut link is silent: connections stay open and carry nothing, as behind a pulled
cable.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from tests.integration.socket_owner import SocketOwners

CHUNK_BYTES = 256 * 1024
CLIENT = "client"


class Links:
    """All proxies of one cluster."""

    def __init__(self) -> None:
        self._pids: dict[int, str] = {os.getpid(): CLIENT}
        self._owners = SocketOwners()
        self._servers: list[asyncio.Server] = []
        self._targets: dict[str, str] = {}
        self._cut: set[tuple[str, str]] = set()
        self._moved = asyncio.Event()
        self._tasks: dict[asyncio.Task[None], None] = {}

    async def open(self, name: str) -> str:
        """Listen for the server of that name; host:port."""

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(name, reader, writer)

        server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=CHUNK_BYTES)
        self._servers.append(server)
        host, port = server.sockets[0].getsockname()
        return f"{host}:{port}"

    def register(self, name: str, pid: int) -> None:
        """The process of that name has this pid now."""
        self._pids = {each: known for each, known in self._pids.items() if known != name} | {pid: name}

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
        self._owners.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialer = self._dialer(writer)
        if dialer is None:
            writer.close()
            return
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

    def _dialer(self, writer: asyncio.StreamWriter) -> str | None:
        """Who opened the connection; None if it has hung up, or is nobody's."""
        remote_port = writer.get_extra_info("peername")[1]
        pid = self._owners.owner_of(remote_port, writer.get_extra_info("sockname")[1], self._pids)
        return None if pid is None else self._pids[pid]
