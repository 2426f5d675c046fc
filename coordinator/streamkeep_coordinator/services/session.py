"""SessionService: brokers register, stay in touch, and fetch producer ids. Only the active one serves it."""

from __future__ import annotations

import logging
from functools import partial

from streamkeep_common.errors import (
    BrokerIdInUseError,
    InvalidRequestError,
    NotActiveError,
    NotInitializedError,
    StaleBrokerEpochError,
    StreamkeepError,
    to_proto,
)
from streamkeep_common.methods import ALLOCATE_PRODUCER_IDS, SESSION, SESSION_SERVICE
from streamkeep_common.seams import CallInfo, Clock, ServerStream, Service
from streamkeep_coordinator.active_duty import ActiveDuty
from streamkeep_coordinator.broker_session import BrokerSession
from streamkeep_coordinator.consensus import Consensus
from streamkeep_coordinator.controller import Committed, Controller
from streamkeep_coordinator.metadata.brokers import allocate_producer_ids
from streamkeep_coordinator.metadata.registration import register_broker
from streamkeep_coordinator.services.commands import answer
from streamkeep_coordinator.services.replicas import ReplicaCalls
from streamkeep_coordinator.services.requests import check_cluster_epoch, first_message
from streamkeep_coordinator.session_keeper import SessionKeeper
from streamkeep_coordinator.sessions import Sessions
from streamkeep_proto.v1.coordinator_pb2 import (
    AllocateProducerIdsRequest,
    AllocateProducerIdsResponse,
    BrokerRegistered,
    RegisterBroker,
    SessionRequest,
    SessionResponse,
)

_ASK_ANOTHER = (NotActiveError, NotInitializedError)
"""Brokers look for the active coordinator by asking all of them, again and again: nothing is wrong."""

_logger = logging.getLogger(__name__)

SessionStream = ServerStream[SessionRequest, SessionResponse]


class SessionService:
    """`session_timeout_ms` and `heartbeat_interval_ms` are told to brokers when they register."""

    def __init__(
        self,
        controller: Controller,
        consensus: Consensus,
        duty: ActiveDuty,
        clock: Clock,
        *,
        session_timeout_ms: int,
        heartbeat_interval_ms: int,
    ) -> None:
        self._controller = controller
        self._consensus = consensus
        self._duty = duty
        self._clock = clock
        self._session_timeout_ms = session_timeout_ms
        self._heartbeat_interval_ms = heartbeat_interval_ms

    def service(self) -> Service:
        unary = {
            ALLOCATE_PRODUCER_IDS: self.allocate_producer_ids,
            **ReplicaCalls(self._controller, self._duty).handlers(),
        }
        return Service(SESSION_SERVICE, unary, {SESSION: self.session})

    async def session(self, stream: SessionStream) -> None:
        """Registration first; then the session, until the stream ends."""
        request = await first_message(stream)
        if request is None:
            return
        try:
            session = await self._register(stream, request)
        except StreamkeepError as error:
            level = logging.DEBUG if isinstance(error, _ASK_ANOTHER) else logging.WARNING
            _logger.log(level, "a broker at %s was refused: %s", stream.info.peer, error)
            await stream.send(SessionResponse(error=to_proto(error)))
            return
        await session.run()

    async def allocate_producer_ids(
        self, request: AllocateProducerIdsRequest, _info: CallInfo
    ) -> AllocateProducerIdsResponse:
        command = partial(
            allocate_producer_ids, broker_id=request.broker_id, broker_epoch=request.broker_epoch
        )
        return await answer(self._controller, command, AllocateProducerIdsResponse)

    async def _register(self, stream: SessionStream, request: SessionRequest) -> BrokerSession:
        if request.WhichOneof("request") != "register":
            raise InvalidRequestError("a session stream begins with a registration")
        register: RegisterBroker = request.register
        keeper = self._duty.keeper()
        check_cluster_epoch(register.cluster_epoch, self._consensus.cluster_epoch)
        await self._check_is_free(keeper, register)
        done = await self._commit(keeper.sessions, register)
        broker = self._controller.image.brokers[register.broker_id]
        if broker.broker_epoch != done.answer:
            raise StaleBrokerEpochError(f"another process with broker id {broker.broker_id} has registered")
        registered = BrokerRegistered(
            cluster_id=self._controller.image.cluster_id,
            broker_epoch=done.answer,
            metadata_index=done.index,
            session_timeout_ms=self._session_timeout_ms,
            heartbeat_interval_ms=self._heartbeat_interval_ms,
            cluster_epoch=self._consensus.cluster_epoch,
        )
        await stream.send(SessionResponse(registered=registered))
        _logger.info("broker %d at epoch %d is in session", broker.broker_id, broker.broker_epoch)
        return BrokerSession(
            stream,
            self._controller,
            keeper,
            self._clock,
            broker_id=register.broker_id,
            broker_epoch=done.answer,
            incarnation_id=register.incarnation_id,
            registered_index=done.index,
        )

    async def _commit(self, sessions: Sessions, register: RegisterBroker) -> Committed[int]:
        """The broker's epoch. While this waits for a quorum the broker is not fenced for being silent."""
        asked = sessions.asked(register.broker_id, register.incarnation_id, self._clock.monotonic())
        try:
            return await self._controller.execute(partial(register_broker, request=register))
        finally:
            if asked is not None:
                sessions.answered(asked, self._clock.monotonic())

    async def _check_is_free(self, keeper: SessionKeeper, register: RegisterBroker) -> None:
        """BrokerIdInUseError ends the process that asks, so a majority must say that this one judges still:
        if it was stopped for a while, whose session it holds may be long gone.
        """
        try:
            keeper.sessions.check_may_register(register.broker_id, register.incarnation_id)
        except BrokerIdInUseError:
            await self._controller.confirm()
            raise
