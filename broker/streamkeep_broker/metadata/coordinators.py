"""Finds the coordinator that opens a session: it registers with one after the other.

Only the active one registers a broker, so whoever answers is the one. The rest say who that is, or nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from streamkeep_common.coordinators import CoordinatorAddresses, Search, Verdict
from streamkeep_common.errors import (
    BrokerIdInUseError,
    ClusterMismatchError,
    StaleBrokerEpochError,
    StreamkeepError,
    UnavailableError,
    UnsupportedFeatureError,
    from_proto,
)
from streamkeep_common.methods import SESSION
from streamkeep_common.retry import RetryPolicy
from streamkeep_common.seams import Channel, ClientStream, Clock, Network, RpcError
from streamkeep_proto.v1.coordinator_pb2 import (
    BrokerRegistered,
    RegisterBroker,
    SessionRequest,
    SessionResponse,
)

RECONNECT = RetryPolicy(first_wait_ms=50, max_wait_ms=500)
"""Between attempts at one coordinator. There is always a next one, so its budget does not count."""

SEARCH = RetryPolicy(first_wait_ms=50, max_wait_ms=150)
"""Between rounds through all of them. A new active coordinator gives sessions 700 ms to come back."""

# A registration is answered when it is committed, with new leader epochs for all that the broker led.
REGISTER_TIMEOUT_S = 5.0

SessionStream = ClientStream[SessionRequest, SessionResponse]

_logger = logging.getLogger(__name__)


class OlderEpochError(UnavailableError):
    """A coordinator that a recovery by force has left behind."""

    advice = "Stop that coordinator and empty its data directory; then it can be let in again."


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session stream on which a coordinator has registered this broker."""

    address: str
    channel: Channel
    stream: SessionStream
    registered: BrokerRegistered


class Registrar:
    """Registers this broker, as `registration` describes it, with whichever coordinator is active."""

    def __init__(
        self,
        addresses: CoordinatorAddresses,
        registration: Callable[[], RegisterBroker],
        *,
        network: Network,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._addresses = addresses
        self._registration = registration
        self._network = network
        self._clock = clock
        self._rng = rng
        self._told: dict[str, str] = {}

    async def register(self) -> OpenSession:
        """Search until a coordinator has registered this broker.

        Raises what none will answer differently: BrokerIdInUseError, StaleBrokerEpochError,
        UnsupportedFeatureError, and ClusterMismatchError if all are of another cluster.
        """
        search = Search(
            self._addresses,
            self._register_at,
            judge=_judge,
            active_first=True,
            clock=self._clock,
            rng=self._rng,
            pace=SEARCH,
            discard=lambda session: session.channel.close(),
        )
        session = await search.run()
        self._told.clear()
        return session

    async def _register_at(self, address: str) -> OpenSession:
        channel = self._network.dial(address)
        try:
            stream = channel.open(SESSION)
            registered = await self._introduce_ourselves(stream)
            self._check_cluster(registered, address)
        except RpcError as error:
            await channel.close()
            raise self._tell(address, UnavailableError(str(error))) from None
        except StreamkeepError as error:
            await channel.close()
            raise self._tell(address, error) from None
        except asyncio.CancelledError:
            await channel.close()
            raise
        return OpenSession(address, channel, stream, registered)

    async def _introduce_ourselves(self, stream: SessionStream) -> BrokerRegistered:
        await stream.send(SessionRequest(register=self._registration()))
        try:
            async with asyncio.timeout(REGISTER_TIMEOUT_S):
                response = await stream.receive()
        except TimeoutError:
            raise UnavailableError(f"no answer to the registration in {REGISTER_TIMEOUT_S} s") from None
        match response.WhichOneof("response") if response is not None else None:
            case "registered" if response is not None:
                return response.registered
            case "error" if response is not None:
                raise from_proto(response.error)
        raise UnavailableError("it answered the registration with something else")

    def _check_cluster(self, registered: BrokerRegistered, address: str) -> None:
        ours = self._registration()
        if ours.cluster_id not in ("", registered.cluster_id):
            raise ClusterMismatchError(
                f"this broker belongs to cluster {ours.cluster_id}, "
                f"the coordinator to {registered.cluster_id}"
            )
        if 0 < registered.cluster_epoch < ours.cluster_epoch:
            raise OlderEpochError(
                f"the coordinator at {address} is at epoch {registered.cluster_epoch} of the cluster, which "
                f"was recovered by force and is at epoch {ours.cluster_epoch}"
            )

    def _tell(self, address: str, error: StreamkeepError) -> StreamkeepError:
        """Log why there is no session, once for as long as the reason is the same."""
        reason = str(error)
        if self._told.get(address) != reason:
            self._told[address] = reason
            level = logging.WARNING if isinstance(error, OlderEpochError) else logging.INFO
            _logger.log(level, "no session with the coordinator at %s: %s", address, reason)
        return error


def _judge(error: StreamkeepError) -> Verdict:
    if isinstance(error, BrokerIdInUseError | StaleBrokerEpochError | UnsupportedFeatureError):
        return Verdict.FINAL
    return Verdict.ELSEWHERE if isinstance(error, ClusterMismatchError) else Verdict.LATER
