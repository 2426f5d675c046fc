"""The broker's session with the active coordinator: registration, heartbeats, and being fenced.

When it breaks, another one is opened at once, wherever the active coordinator is by then. What ends the
process is told to `on_failure`; everything else is tried again. Calls to the active coordinator go over the
same connection. It knows nothing of partitions.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from google.protobuf.message import Message

from streamkeep_broker.metadata.coordinators import RECONNECT, OpenSession, Registrar, SessionStream
from streamkeep_broker.streams import Bell, cancel, run_halves, run_watched
from streamkeep_common.coordinators import CoordinatorAddresses
from streamkeep_common.errors import (
    BrokerIdInUseError,
    ClusterMismatchError,
    NotActiveError,
    ShuttingDownError,
    StaleBrokerEpochError,
    StreamkeepError,
    UnavailableError,
    UnsupportedFeatureError,
    from_proto,
    from_rpc,
    raise_if_error,
)
from streamkeep_common.methods import ALLOCATE_PRODUCER_IDS
from streamkeep_common.retry import Backoff, RetryPolicy, call_with_retries
from streamkeep_common.seams import Channel, Clock, Network, RpcError, Status, UnaryMethod
from streamkeep_proto.v1.coordinator_pb2 import (
    AllocateProducerIdsRequest,
    BrokerHeartbeat,
    BrokerRegistered,
    BrokerStatus,
    RegisterBroker,
    SessionRequest,
    SessionResponse,
)

SILENCE_S = 1.0
ALLOCATE_TIMEOUT_S = 2.0
ALLOCATE = RetryPolicy(first_wait_ms=50, max_wait_ms=200, budget_ms=3_000)
"""An election and a new session pass meanwhile."""

# A killed broker that is started again at once may find its old session not yet given up: wait for that
# somewhat longer than the default session timeout before taking it for another live process.
ID_IN_USE_PATIENCE_S = 4.0

_FATAL = (ClusterMismatchError, StaleBrokerEpochError, UnsupportedFeatureError)

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)

_logger = logging.getLogger(__name__)


class Session:
    """See the module. All attributes are for reading.

    `heartbeat` gives each heartbeat, but for `wants_shutdown`. `on_registered` is called with each session
    before its heartbeats begin, whether it is the first one or another coordinator is active now.
    """

    def __init__(
        self,
        *,
        coordinators: CoordinatorAddresses,
        network: Network,
        clock: Clock,
        rng: random.Random,
        registration: Callable[[], RegisterBroker],
        heartbeat: Callable[[], BrokerHeartbeat],
        on_registered: Callable[[BrokerRegistered, str], Awaitable[None]],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self.registered: BrokerRegistered | None = None
        self.fenced = True
        self.unfenced = asyncio.Event()
        self._coordinators = coordinators
        self._registrar = Registrar(coordinators, registration, network=network, clock=clock, rng=rng)
        self._clock = clock
        self._rng = rng
        self._registration = registration
        self._heartbeat = heartbeat
        self._on_registered = on_registered
        self._on_failure = on_failure
        self._heartbeat_due = Bell()
        self._may_shut_down = asyncio.Event()
        self._wants_shutdown = False
        self._channel: Channel | None = None
        self._is_proven = False
        self._confirmed_at = clock.monotonic()
        self._first_tried_at = clock.monotonic()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """There is a coordinator to `call`."""
        return self._channel is not None

    @property
    def broker_epoch(self) -> int:
        """Of this broker's registration; 0 before it."""
        return 0 if self.registered is None else self.registered.broker_epoch

    @property
    def unconfirmed(self) -> bool:
        """No coordinator has been heard for longer than the session timeout: another may lead by now."""
        if self.registered is None:
            return False
        silence_s = self._clock.monotonic() - self._confirmed_at
        return silence_s * 1000 > self.registered.session_timeout_ms

    def start(self) -> None:
        """Begin to register, and go on for ever."""
        self._first_tried_at = self._clock.monotonic()
        self._task = run_watched(self._keep_open(), self._on_failure)

    async def ask_to_leave(self) -> None:
        """Ask that leaders be moved away, and of whichever coordinator becomes active; returns when one says
        that this is done. The session that ends after that is no crash: the broker is fenced at once."""
        self._wants_shutdown = True
        self.report()
        await self._may_shut_down.wait()

    async def stop(self) -> None:
        """End the session."""
        if self._task is not None:
            await cancel(self._task)

    def report(self) -> None:
        """Send a heartbeat now: something that it carries has changed."""
        self._heartbeat_due.ring()

    async def allocate_producer_ids(self) -> range:
        """A block of producer ids, asked for again while another coordinator becomes active.

        Raises a retriable StreamkeepError after about 3 s without one. A block whose answer is lost is never
        used; there are enough.
        """
        return await call_with_retries(self._allocate, clock=self._clock, rng=self._rng, policy=ALLOCATE)

    async def call(self, method: UnaryMethod[Q, R], request: Q, *, timeout_s: float) -> R:
        """Call the coordinator of this session. Raises StreamkeepError, after which nobody knows whether the
        call had an effect; UnavailableError, nothing having been sent, if not `is_open`."""
        if self._channel is None:
            raise UnavailableError("this broker has no session with a coordinator")
        try:
            return await self._channel.call(method, request, timeout_s=timeout_s)
        except RpcError as error:
            raise from_rpc(error) from None

    async def _allocate(self) -> range:
        request = AllocateProducerIdsRequest(
            broker_id=self._registration().broker_id, broker_epoch=self.broker_epoch
        )
        response = await self.call(ALLOCATE_PRODUCER_IDS, request, timeout_s=ALLOCATE_TIMEOUT_S)
        raise_if_error(response.error)
        if response.count < 1:
            raise UnavailableError("the coordinator answered with an empty block of producer ids")
        return range(response.first_producer_id, response.first_producer_id + response.count)

    # --- keeping it open ---

    async def _keep_open(self) -> None:
        backoff = Backoff(RECONNECT, self._rng)
        while True:
            self._is_proven = False
            try:
                await self._hold(await self._registrar.register())
            except StreamkeepError as error:
                if not self._may_retry(error):
                    raise
            if self._is_proven:
                backoff.reset()
            else:
                await self._clock.sleep(backoff.next_wait_s())

    def _may_retry(self, error: StreamkeepError) -> bool:
        if isinstance(error, BrokerIdInUseError):
            patient = self._clock.monotonic() - self._first_tried_at < ID_IN_USE_PATIENCE_S
            return self.registered is None and patient
        return not isinstance(error, _FATAL)

    async def _hold(self, session: OpenSession) -> None:
        """One session, until it breaks. Raises StreamkeepError if the coordinator said why."""
        self.registered = session.registered
        self._confirmed_at = self._clock.monotonic()
        try:
            self._channel = session.channel
            await self._on_registered(session.registered, session.address)
            await run_halves(
                self._read(session.stream, _silence_s(session.registered)),
                self._write_heartbeats(session.stream, session.registered.heartbeat_interval_ms / 1000),
            )
        except RpcError as error:
            _logger.info("the session with the coordinator at %s broke: %s", session.address, error)
            self._coordinators.failed(session.address)
        except StreamkeepError as error:
            _logger.info("the coordinator at %s ended the session: %s", session.address, error)
            if isinstance(error, NotActiveError):
                self._coordinators.redirected(session.address, error.active_address)
            elif isinstance(error, ShuttingDownError):
                self._coordinators.failed(session.address)
            raise
        finally:
            self._channel = None
            await session.channel.close()

    async def _read(self, stream: SessionStream, silence_s: float) -> None:
        while True:
            response = await self._receive(stream, silence_s)
            if response.WhichOneof("response") == "status":
                self._take(response.status)

    async def _receive(self, stream: SessionStream, silence_s: float) -> SessionResponse:
        """The next message. A coordinator silent for `silence_s` may be stopped with its connection open."""
        try:
            async with asyncio.timeout(silence_s):
                response = await stream.receive()
        except TimeoutError:
            raise RpcError(Status.UNAVAILABLE, f"the coordinator was silent for {silence_s} s") from None
        if response is None:
            raise RpcError(Status.UNAVAILABLE, "the coordinator ended the session")
        if response.WhichOneof("response") == "error":
            raise from_proto(response.error)
        self._confirmed_at = self._clock.monotonic()
        return response

    def _take(self, status: BrokerStatus) -> None:
        self._is_proven = True
        if status.fenced != self.fenced:
            self.fenced = status.fenced
            _logger.info("fenced" if status.fenced else "unfenced")
        if status.fenced:
            self.unfenced.clear()
        else:
            self.unfenced.set()
        if status.may_shut_down:
            self._may_shut_down.set()

    async def _write_heartbeats(self, stream: SessionStream, interval_s: float) -> None:
        while True:
            heartbeat = self._heartbeat()
            heartbeat.wants_shutdown = self._wants_shutdown
            await stream.send(SessionRequest(heartbeat=heartbeat))
            await self._heartbeat_due.wait(interval_s)


def _silence_s(registered: BrokerRegistered) -> float:
    """Every heartbeat is answered, so two unanswered ones are silence."""
    return max(SILENCE_S, 2 * registered.heartbeat_interval_ms / 1000)
