"""Asks coordinators: whichever answers first of those in the bootstrap list and those learned since."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from streamkeep.connections import Connections, Purpose
from streamkeep_common.errors import (
    NotActiveError,
    ShuttingDownError,
    StreamkeepError,
    TimedOutError,
    UnavailableError,
    UnsupportedFeatureError,
    from_rpc,
)
from streamkeep_common.retry import RetryPolicy, call_with_retries
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import RpcError, Status, UnaryMethod

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)

ATTEMPT_TIMEOUT_S = 1.5
"""One address may take this long before the next is tried, while there is a next one."""

FIRST_WAIT_MS = 50
MAX_WAIT_MS = 500
"""Between rounds in which nobody answered."""

_ELSEWHERE = (NotActiveError, ShuttingDownError, UnavailableError, TimedOutError)
"""Errors after which another coordinator, or the same one later, may know better."""


class NotACoordinatorError(UnsupportedFeatureError):
    """Somebody answers there who does not know what coordinators know: most often it is a broker."""

    advice = "Give the address of a coordinator; brokers are found through it."


class Coordinators:
    """Addresses of coordinators, the one that answered last in front."""

    def __init__(
        self, bootstrap: Sequence[str], connections: Connections, clock: Clock, rng: random.Random
    ) -> None:
        self._bootstrap = tuple(bootstrap)
        self._addresses = list(bootstrap)
        self._connections = connections
        self._clock = clock
        self._rng = rng
        self.last_failure: StreamkeepError | None = None
        """Why nobody answered the last time that all were asked; None after an answer."""

    def learn(self, addresses: Sequence[str]) -> None:
        """Take over the cluster's own list. The bootstrap list stays behind it as a last resort."""
        preferred = self._addresses[0]
        self._addresses = list(dict.fromkeys((*addresses, *self._bootstrap)))
        self._prefer(preferred)

    async def call(
        self,
        method: UnaryMethod[Q, R],
        request: Q,
        *,
        timeout_s: float,
        check: Callable[[R], None] = lambda _: None,
    ) -> R:
        """Ask one after the other, in rounds, for about `timeout_s`.

        `check` may raise on an answer; after NOT_ACTIVE and the like another one is asked. Raises
        UnavailableError or TimedOutError with the addresses when time is up, and at once what nobody would
        answer differently.
        """
        deadline_s = self._clock.monotonic() + timeout_s

        async def ask_each() -> R:
            failures: list[StreamkeepError] = []
            for address in tuple(self._addresses):
                attempt_s = self._attempt_s(deadline_s)
                try:
                    return await self._ask(address, method, request, attempt_s, check)
                except (*_ELSEWHERE, UnsupportedFeatureError) as error:
                    failures.append(error)
            self.last_failure = self._explain(failures)
            raise self.last_failure

        policy = RetryPolicy(
            first_wait_ms=FIRST_WAIT_MS, max_wait_ms=MAX_WAIT_MS, budget_ms=round(timeout_s * 1_000)
        )
        return await call_with_retries(
            ask_each,
            clock=self._clock,
            rng=self._rng,
            policy=policy,
            retriable=lambda error: isinstance(error, _ELSEWHERE),
        )

    async def _ask(
        self,
        address: str,
        method: UnaryMethod[Q, R],
        request: Q,
        timeout_s: float,
        check: Callable[[R], None],
    ) -> R:
        channel = self._connections.channel(address, Purpose.CONTROL)
        try:
            response = await channel.call(method, request, timeout_s=timeout_s)
        except RpcError as error:
            if error.status is Status.UNIMPLEMENTED:
                raise NotACoordinatorError(f"{address} is not a coordinator, or an older one") from None
            raise from_rpc(error) from None
        check(response)
        self.last_failure = None
        self._prefer(address)
        return response

    def _attempt_s(self, deadline_s: float) -> float:
        remaining_s = max(deadline_s - self._clock.monotonic(), 0.001)
        return min(remaining_s, ATTEMPT_TIMEOUT_S) if len(self._addresses) > 1 else remaining_s

    def _prefer(self, address: str) -> None:
        if address in self._addresses and self._addresses[0] != address:
            self._addresses.remove(address)
            self._addresses.insert(0, address)

    def _explain(self, failures: list[StreamkeepError]) -> StreamkeepError:
        """The last failure that may pass, or just the last, with all the addresses that were tried."""
        last = next((error for error in reversed(failures) if isinstance(error, _ELSEWHERE)), failures[-1])
        tried = ", ".join(self._addresses)
        if isinstance(last, TimedOutError):
            return TimedOutError(f"no coordinator at {tried} answered in time")
        return type(last)(f"no coordinator at {tried} could answer: {last.message}")
