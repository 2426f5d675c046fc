"""What producers, consumers and admins share: connections, and an up-to-date view of the cluster."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypeVar

from google.protobuf.message import Message

from streamkeep.connections import Connections, Purpose
from streamkeep.coordinators import Coordinators
from streamkeep.metadata_cache import MetadataCache
from streamkeep_common.allocator import keep_freed_memory
from streamkeep_common.errors import from_rpc
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.memory.addresses import is_in_process
from streamkeep_common.seams.network import Network, RpcError, UnaryMethod

BROKER_TIMEOUT_S = 5.0
"""A call to a broker that takes longer is better made again, perhaps to another leader."""

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)


class Client:
    """One program's link to one cluster. Producers, consumers and admins that are given it share its
    connections and what it knows.

    `bootstrap` names one or more coordinators, as "host:port", "host:port,host:port" or a list; any of them
    will do, and the others are learned; one that is a broker's is told by NotACoordinatorError at first use.
    `request_timeout_ms` bounds single calls, such as looking up a topic.
    Nothing is sent before it is used. Use it with `async with`, or `close` it.
    """

    def __init__(
        self,
        bootstrap: str | Sequence[str],
        *,
        request_timeout_ms: int = 30_000,
        network: Network | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        keep_freed_memory()
        self.clock = clock or _real_clock()
        self.rng = rng or random.Random()  # noqa: S311 - for jitter and partitions, not for secrets
        self.request_timeout_s = request_timeout_ms / 1_000
        addresses = parse_bootstrap(bootstrap)
        self.connections = Connections(network or _network_of(addresses))
        self.coordinators = Coordinators(addresses, self.connections, self.clock, self.rng)
        self.metadata = MetadataCache(self.coordinators, self.clock, self.rng)
        self._closed = False
        self._ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. What still uses them fails with ClosedError or UnavailableError. Who closes
        it meanwhile waits for the same end."""
        if self._closed:
            await self._ended.wait()
            return
        self._closed = True
        try:
            await self.metadata.close()
        finally:
            try:
                await self.connections.close()
            finally:
                self._ended.set()

    async def call_broker(
        self, address: str, method: UnaryMethod[Q, R], request: Q, *, timeout_s: float = BROKER_TIMEOUT_S
    ) -> R:
        """One call to one broker. Raises what its failure as a whole means; nothing is tried again."""
        channel = self.connections.channel(address, Purpose.CONTROL)
        try:
            return await channel.call(method, request, timeout_s=timeout_s)
        except RpcError as error:
            raise from_rpc(error) from None


def parse_bootstrap(bootstrap: str | Sequence[str]) -> list[str]:
    """The addresses named. ValueError, saying what is wrong, unless each is host:port."""
    named = bootstrap.split(",") if isinstance(bootstrap, str) else bootstrap
    addresses = [address.strip() for address in named if address.strip()]
    if not addresses:
        raise ValueError("no coordinator was named: give bootstrap as 'host:port' or 'host:port,host:port'")
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or "/" in host or not address.isprintable() or not _is_port(port):
            raise ValueError(f"'{address}' is not an address: give a coordinator's as 'host:port'")
    return addresses


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65_536


def _real_clock() -> Clock:
    from streamkeep_common.seams.real.clock import RealClock

    return RealClock()


def _network_of(addresses: Sequence[str]) -> Network:
    """gRPC, unless they are addresses of a cluster within this process (`streamkeep.testing`)."""
    if any(map(is_in_process, addresses)):
        from streamkeep_common.seams.memory.network import MemoryNetwork

        return MemoryNetwork()
    from streamkeep_common.seams.real.network import GrpcNetwork

    return GrpcNetwork()
