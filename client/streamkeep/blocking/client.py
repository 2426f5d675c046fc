"""The client that producers, consumers and admins of this package may share."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeAlias, TypeVar

from google.protobuf.message import Message

from streamkeep.blocking.handle import Handle
from streamkeep.client import BROKER_TIMEOUT_S
from streamkeep.client import Client as LoopClient
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import Network, UnaryMethod

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)


class Client(Handle):
    """One program's link to one cluster, as `streamkeep.Client`. Use it with `with`, or `close` it.

    `bootstrap` names one or more coordinators, as "host:port", "host:port,host:port" or a list; any of them
    will do, and the others are learned; one that is a broker's is told by NotACoordinatorError at first use.
    `request_timeout_ms` bounds single calls, such as looking up a topic.
    It may be shared by threads. Nothing is sent before it is used.
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
        self._on_loop = LoopClient(
            bootstrap, request_timeout_ms=request_timeout_ms, network=network, clock=clock, rng=rng
        )
        super().__init__(self._on_loop)

    def close(self) -> None:
        """Close all connections. What still uses them fails with ClosedError or UnavailableError. Who closes
        it meanwhile waits for the same end."""
        self._leave(self._on_loop.close())

    def call_broker(
        self, address: str, method: UnaryMethod[Q, R], request: Q, *, timeout_s: float = BROKER_TIMEOUT_S
    ) -> R:
        """One call to one broker. Raises what its failure as a whole means; nothing is tried again."""
        return self._call(self._on_loop.call_broker(address, method, request, timeout_s=timeout_s))


Bootstrap: TypeAlias = str | Sequence[str] | Client


def on_loop(bootstrap: Bootstrap) -> str | Sequence[str] | LoopClient:
    """What the asyncio SDK takes for it. A client that is shared is in use."""
    if not isinstance(bootstrap, Client):
        return bootstrap
    bootstrap._taken().take()
    return bootstrap._on_loop
