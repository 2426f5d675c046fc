"""What all administration has in common: a client, its own or a shared one, and how an answer is had."""

from __future__ import annotations

import random
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypeVar, cast

from google.protobuf.message import Message

from streamkeep.client import Client
from streamkeep.coordinators import Whom
from streamkeep.leader_calls import Item
from streamkeep_common.errors import raise_if_error
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import Network, UnaryMethod

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)


class AdminBase:
    """See `Admin`."""

    def __init__(
        self,
        bootstrap: str | Sequence[str] | Client,
        *,
        request_timeout_ms: int = 30_000,
        network: Network | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._owns_client = not isinstance(bootstrap, Client)
        self._client = (
            bootstrap
            if isinstance(bootstrap, Client)
            else Client(
                bootstrap, request_timeout_ms=request_timeout_ms, network=network, clock=clock, rng=rng
            )
        )
        self._timeout_s = request_timeout_ms / 1_000

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, unless they are a shared client's."""
        if self._owns_client:
            await self._client.close()

    async def _ask(self, whom: Whom, method: UnaryMethod[Q, R], request: Q) -> R:
        """The answer of a coordinator that does not say, in `error`, that as a whole it cannot give one."""
        return await self._client.coordinators.ask(
            whom, method, request, timeout_s=self._timeout_s, check=raise_if_refused
        )


def raise_if_refused(answer: Message) -> None:
    """Every answer to administration has an `error` that speaks of the request as a whole."""
    raise_if_error(cast(Item, answer).error)
