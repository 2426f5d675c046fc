"""One open session stream: heartbeats in, the broker's status out, and what heartbeats ask for.

Reading, sending and acting go on side by side, so that a slow disk or a slow reader never makes a broker look
silent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from streamkeep_common.errors import InvalidRequestError, StreamkeepError, UnknownServerError, to_proto
from streamkeep_common.seams import Clock, RpcError, ServerStream
from streamkeep_coordinator.controller import Controller
from streamkeep_coordinator.metadata import Command, Decision
from streamkeep_coordinator.metadata.brokers import release_replicas, report_directories, unfence_broker
from streamkeep_coordinator.metadata.limits import MAX_DIRECTORIES_PER_BROKER
from streamkeep_coordinator.metadata.relocation import relocate_replicas
from streamkeep_coordinator.session_keeper import SessionKeeper
from streamkeep_proto.v1.coordinator_pb2 import (
    BrokerHeartbeat,
    BrokerStatus,
    SessionRequest,
    SessionResponse,
)

R = TypeVar("R")

_logger = logging.getLogger(__name__)


class BrokerSession:
    """A registered broker's stream. `registered_index` is the metadata index of its registration."""

    def __init__(
        self,
        stream: ServerStream[SessionRequest, SessionResponse],
        controller: Controller,
        keeper: SessionKeeper,
        clock: Clock,
        *,
        broker_id: int,
        broker_epoch: int,
        incarnation_id: bytes,
        registered_index: int,
    ) -> None:
        self._stream = stream
        self._controller = controller
        self._keeper = keeper
        self._clock = clock
        self._broker_id = broker_id
        self._broker_epoch = broker_epoch
        self._incarnation_id = incarnation_id
        self._registered_index = registered_index
        self._may_shut_down = False
        self._relocated = False
        self._error: StreamkeepError | None = None
        self._status_due = asyncio.Event()
        self._unread: BrokerHeartbeat | None = None
        self._acting: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until the stream ends, by either side."""
        if self._keeper.ended_by is not None:
            await self._stream.send(SessionResponse(error=to_proto(self._keeper.ended_by)))
            return
        number = self._open()
        reader = asyncio.create_task(self._read(number))
        sender = asyncio.create_task(self._send())
        try:
            await asyncio.wait((reader, sender), return_when=asyncio.FIRST_COMPLETED)
            if reader.done() and self._error is not None:
                await sender
        finally:
            self._close(number)
            tasks = [task for task in (reader, sender, self._acting) if task is not None]
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            for error in ended:
                if isinstance(error, Exception) and not isinstance(error, RpcError):
                    _logger.error("the session of broker %d has failed", self._broker_id, exc_info=error)

    def end(self, error: StreamkeepError) -> None:
        """Tell the broker why, and end."""
        self._error = self._error or error
        self._status_due.set()

    def _open(self) -> int:
        older = self._keeper.streams.get(self._broker_id)
        if older is not None:
            older.end(InvalidRequestError(f"broker {self._broker_id} has opened a newer session stream"))
        self._keeper.streams[self._broker_id] = self
        self._keeper.leaving.pop(self._broker_id, None)
        return self._keeper.sessions.open(
            self._broker_id, self._broker_epoch, self._incarnation_id, self._clock.monotonic()
        )

    def _close(self, number: int) -> None:
        if self._keeper.streams.get(self._broker_id) is self:
            del self._keeper.streams[self._broker_id]
        if not self._may_shut_down:
            self._keeper.sessions.broke(self._broker_id, number, self._clock.monotonic())
        elif self._keeper.sessions.leave(self._broker_id, number):
            self._keeper.fence_soon(self._broker_id, self._broker_epoch)

    async def _read(self, number: int) -> None:
        while (request := await self._stream.receive()) is not None:
            self._keeper.sessions.heard(self._broker_id, number, self._clock.monotonic())
            if request.WhichOneof("request") != "heartbeat":
                self.end(InvalidRequestError("a session stream has one registration, then heartbeats"))
                return
            self._unread = request.heartbeat
            if self._acting is None:
                self._acting = asyncio.create_task(self._act())

    async def _send(self) -> None:
        while True:
            await self._status_due.wait()
            self._status_due.clear()
            if self._error is not None:
                await self._stream.send(SessionResponse(error=to_proto(self._error)))
                return
            await self._stream.send(SessionResponse(status=self._status()))

    def _status(self) -> BrokerStatus:
        return BrokerStatus(fenced=self._is_fenced(), may_shut_down=self._may_shut_down)

    def _is_fenced(self) -> bool:
        """One that was removed meanwhile is, too."""
        broker = self._controller.image.brokers.get(self._broker_id)
        return broker is None or broker.fenced

    async def _act(self) -> None:
        """Carry out the newest heartbeat, until none has come meanwhile; each is answered by a status."""
        try:
            while self._unread is not None:
                heartbeat, self._unread = self._unread, None
                await self._carry_out(heartbeat)
                self._status_due.set()
        except StreamkeepError as error:
            self.end(error)
        except Exception:  # nobody waits for this task: without a word the broker would stay as it is
            _logger.exception("a heartbeat of broker %d could not be carried out", self._broker_id)
            self.end(UnknownServerError("the heartbeat could not be carried out"))
        finally:
            self._acting = None

    async def _carry_out(self, heartbeat: BrokerHeartbeat) -> None:
        if heartbeat.wants_shutdown:
            self._keeper.leaving[self._broker_id] = None
        await self._report_directories(heartbeat)
        if heartbeat.wants_shutdown:
            await self._controller.execute(self._command(release_replicas, leaving=self._keeper.leaving))
            self._may_shut_down = True
        elif heartbeat.metadata_index >= self._registered_index:
            await self._unfence()
            await self._relocate()

    async def _report_directories(self, heartbeat: BrokerHeartbeat) -> None:
        lists = {
            "offline": list(heartbeat.offline_directory_ids),
            "stalled": list(heartbeat.stalled_directory_ids),
            "full": list(heartbeat.full_directory_ids),
        }
        if max(map(len, lists.values())) > MAX_DIRECTORIES_PER_BROKER:
            raise InvalidRequestError(f"a broker has {MAX_DIRECTORIES_PER_BROKER} directories at most")
        report = self._command(report_directories, leaving=self._keeper.leaving, **lists)
        if report(self._controller.image).records:
            await self._controller.execute(report)

    async def _unfence(self) -> None:
        if self._is_fenced():
            await self._controller.execute(self._command(unfence_broker))

    async def _relocate(self) -> None:
        """Once a session, when the broker is up: its replicas that lost their directory get another one."""
        relocate = self._command(relocate_replicas)
        while not self._relocated and relocate(self._controller.image).records:
            await self._controller.execute(relocate)
        self._relocated = True

    def _command(self, decide: Callable[..., Decision[R]], **arguments: object) -> Command[R]:
        return partial(decide, broker_id=self._broker_id, broker_epoch=self._broker_epoch, **arguments)
