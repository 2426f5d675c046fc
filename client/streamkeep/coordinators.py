"""Asks coordinators: any of them what any can answer, the active one for changes.

The first coordinator that answers decides which cluster this client belongs to; from then on those of another
are refused. An address that the cluster itself did not name is asked for metadata before it is trusted with
anything else, and so the other coordinators are learned from it.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import NamedTuple, TypeVar

from google.protobuf.message import Message

from streamkeep.connections import Connections, Purpose
from streamkeep_common.coordinators import CoordinatorAddresses, Search, Verdict
from streamkeep_common.errors import (
    ClusterMismatchError,
    NoQuorumError,
    NotACoordinatorError,
    NotActiveError,
    NotInitializedError,
    RemovedError,
    ShuttingDownError,
    StreamkeepError,
    TimedOutError,
    UnavailableError,
    UnsupportedFeatureError,
    from_rpc,
)
from streamkeep_common.methods import GET_METADATA
from streamkeep_common.retry import RetryPolicy
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import RpcError, Status, UnaryMethod
from streamkeep_proto.v1.coordinator_pb2 import GetMetadataRequest, GetMetadataResponse

_logger = logging.getLogger(__name__)

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)

PACE = RetryPolicy(first_wait_ms=50, max_wait_ms=200)
"""Between rounds in which nobody answered. Short, so that a new active coordinator is found soon."""

_LATER = (
    NoQuorumError,
    NotInitializedError,
    NotActiveError,
    ShuttingDownError,
    UnavailableError,
    TimedOutError,
)
"""Another may know better now, or the same one later. Who is told of one failure of many is told of the first
of these."""
_NOBODY = {"Connection refused": "connection refused", "Domain name not found": "no such host"}
"""How networks say that nobody listens at an address, and how we do."""
_SILENT = "before receiving SETTINGS"
_STRANGER = "Failed parsing HTTP/2"
"""What is in gRPC's words where a connection is taken and nothing comes, or something that is no gRPC."""
_ELSEWHERE = (RemovedError, ClusterMismatchError, UnsupportedFeatureError)


class Whom(Enum):
    """Which coordinators to put a question to."""

    ANY = auto()
    """Whoever answered last, first."""
    ACTIVE = auto()
    """The active one does it, the others say who that is. If it dies or falls silent meanwhile the request is
    made again to the next one, so it may be carried out twice."""
    STRANGERS_TOO = auto()
    """Whoever answers, the active one first; also a coordinator that belongs to no cluster yet."""


class Version(NamedTuple):
    """How new an answer is. The index rises, except when the cluster is recovered by force."""

    cluster_epoch: int
    metadata_index: int


class Coordinators:
    """See the module. `bootstrap` is the list given; `cluster_id` is empty until a coordinator answered.

    `patience_with_nobody_s` bounds how long from the first question on it is waited for somebody to listen at
    any address at all; for ever unless it is set, since a program may start before its cluster. It does not
    count once a coordinator has answered.
    """

    def __init__(
        self, bootstrap: Sequence[str], connections: Connections, clock: Clock, rng: random.Random
    ) -> None:
        self.bootstrap = tuple(bootstrap)
        self.cluster_id = ""
        self.patience_with_nobody_s = float("inf")
        self._first_asked_s: float | None = None
        self._addresses = CoordinatorAddresses(bootstrap)
        self._newest = Version(0, 0)
        self._trusted: frozenset[str] = frozenset()
        self._connections = connections
        self._clock = clock
        self._rng = rng
        self._failures: Mapping[str, StreamkeepError] = {}

    @property
    def last_failure(self) -> StreamkeepError | None:
        """Why nobody has answered the latest question yet; None if somebody has, or nobody failed to."""
        return self._most_telling(self._failures) if self._failures else None

    async def ask(
        self,
        whom: Whom,
        method: UnaryMethod[Q, R],
        request: Q,
        *,
        timeout_s: float,
        check: Callable[[R], None] = lambda _: None,
        second_best: Callable[[R], bool] = lambda _: False,
    ) -> R:
        """Ask one after the other, in rounds, for `timeout_s` at the most.

        `check` may raise on an answer; after NOT_ACTIVE and the like another one is asked. An answer that is
        `second_best` counts only if nobody has a better one. Raises NoQuorumError, UnavailableError or
        TimedOutError with the addresses when time is up, and at once what nobody would answer differently.
        """

        async def ask(address: str) -> R:
            if whom is not Whom.STRANGERS_TOO:
                await self._introduce(address, method, timeout_s)
            return await self.ask_one(address, method, request, timeout_s=timeout_s, check=check)

        if self._first_asked_s is None:
            self._first_asked_s = self._clock.monotonic()
        search = Search(
            self._addresses,
            ask,
            judge=self._judge,
            active_first=whom is not Whom.ANY,
            clock=self._clock,
            rng=self._rng,
            pace=PACE,
            second_best=second_best,
        )
        self._failures = search.failures
        try:
            answer = await search.run(timeout_s=timeout_s)
        except (TimeoutError, UnavailableError):
            raise self._most_telling(search.failures) from None
        self._failures = {}
        return answer

    async def ask_one(
        self,
        address: str,
        method: UnaryMethod[Q, R],
        request: Q,
        *,
        timeout_s: float,
        check: Callable[[R], None] = lambda _: None,
    ) -> R:
        """Ask this one, once."""
        channel = self._connections.channel(address, Purpose.CONTROL)
        try:
            response = await channel.call(method, request, timeout_s=timeout_s)
        except RpcError as error:
            if error.status is Status.UNIMPLEMENTED:
                raise NotACoordinatorError(f"{address} is not a coordinator, or an older one") from None
            _logger.debug("%s: %s", address, error)
            raise from_rpc(error) from None
        if isinstance(response, GetMetadataResponse):
            self._meet(address, response)
        check(response)
        return response

    # --- what failures mean ---

    def _judge(self, error: StreamkeepError) -> Verdict:
        if isinstance(error, _LATER):
            return Verdict.ELSEWHERE if _nobody(error) and self._is_impatient() else Verdict.LATER
        return Verdict.ELSEWHERE if isinstance(error, _ELSEWHERE) else Verdict.FINAL

    def _is_impatient(self) -> bool:
        """With a cluster of which nothing was heard yet."""
        began_s = self._first_asked_s
        assert began_s is not None
        return not self.cluster_id and self._clock.monotonic() - began_s >= self.patience_with_nobody_s

    def _most_telling(self, failures: Mapping[str, StreamkeepError]) -> StreamkeepError:
        """One error for all who were asked: of what they said, whatever a person can do most about."""
        if failures and all(map(_nobody, failures.values())):
            return UnavailableError(f"no coordinator answers at {self._deserted(failures)}")
        tried = ", ".join(failures or self._addresses.known)
        for kind in (*_LATER, *_ELSEWHERE):
            of_kind = (error for error in failures.values() if isinstance(error, kind))
            told = next((error for error in of_kind if _SILENT not in error.message), None)
            if isinstance(told, NotActiveError):
                return NoQuorumError(f"none of the coordinators at {tried} is active")
            if told is not None and not isinstance(told, TimedOutError):
                return type(told)(f"no coordinator at {tried} could answer: {_in_short(told)}")
        return TimedOutError(f"no coordinator at {tried} answered in time")

    def _deserted(self, failures: Mapping[str, StreamkeepError]) -> str:
        """`a:1, b:2 (connection refused)`: addresses where nobody listens, by the reason."""
        by_reason: dict[str, list[str]] = {}
        for address in (each for each in dict.fromkeys((*self.bootstrap, *failures)) if each in failures):
            by_reason.setdefault(_nobody(failures[address]), []).append(address)
        return ", ".join(f"{', '.join(places)} ({reason})" for reason, places in by_reason.items())

    # --- whom to trust ---

    async def _introduce(self, address: str, method: UnaryMethod[Q, R], timeout_s: float) -> None:
        """Before anything else it is asked for metadata, unless a coordinator of this cluster named it."""
        if address not in self._trusted and method.path != GET_METADATA.path:
            await self.ask_one(address, GET_METADATA, GetMetadataRequest(), timeout_s=timeout_s)

    def _meet(self, address: str, response: GetMetadataResponse) -> None:
        """Learn from a coordinator of this cluster who the others are. Raises NotInitializedError or
        ClusterMismatchError about one that is of none, of another, or left behind by a recovery by force."""
        if not response.cluster_id:
            raise NotInitializedError(f"the coordinator at {address} belongs to no cluster yet")
        if self.cluster_id not in ("", response.cluster_id):
            raise ClusterMismatchError(
                f"the coordinator at {address} belongs to cluster {response.cluster_id}, "
                f"and this client to {self.cluster_id}"
            )
        said = Version(response.cluster_epoch or self._newest.cluster_epoch, response.metadata_index)
        if said.cluster_epoch < self._newest.cluster_epoch:
            raise ClusterMismatchError(
                f"the coordinator at {address} is at epoch {said.cluster_epoch} of the cluster, which was "
                f"recovered by force and is at epoch {self._newest.cluster_epoch}"
            )
        self.cluster_id = response.cluster_id
        members = [coordinator.address for coordinator in response.coordinators]
        self._trusted |= {address, *members}
        if said >= self._newest:
            self._newest = said
            self._addresses.learn(members)
            active = [coordinator.address for coordinator in response.coordinators if coordinator.active]
            if active and not response.stale:
                self._addresses.active = active[0]


def _nobody(error: StreamkeepError) -> str:
    """Why nobody listens at an address; "" if somebody may."""
    return next((ours for theirs, ours in _NOBODY.items() if theirs in error.message), "")


def _in_short(error: StreamkeepError) -> str:
    if _STRANGER in error.message:
        return "what listens there does not speak gRPC"
    return _nobody(error) or error.message
