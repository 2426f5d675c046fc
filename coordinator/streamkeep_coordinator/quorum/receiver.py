"""RaftService: what other coordinators say to this one. Who may speak is decided by `admission`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from streamkeep_common.errors import InvalidRequestError, StreamkeepError
from streamkeep_common.methods import EXCHANGE, INSTALL_SNAPSHOT, PROBE, RAFT_SERVICE
from streamkeep_common.seams import CallInfo, RpcError, ServerStream, Service, Status, StreamMethod
from streamkeep_common.seams.network import StreamHandler
from streamkeep_coordinator.quorum.admission import Admission, admit, refusal
from streamkeep_coordinator.quorum.form import check_hello, check_message
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_proto.v1.metadata_pb2 import QuorumRecord
from streamkeep_proto.v1.raft_pb2 import (
    ProbeRequest,
    ProbeResponse,
    RaftEnvelope,
    RaftHello,
    RaftMessage,
    RaftRefusal,
    SnapshotChunk,
    SnapshotInstalled,
)

FIRST_MESSAGE_TIMEOUT_S = 3.0
"""Who opens a stream and says nothing is cut off."""

InstallHandler = Callable[[ServerStream[SnapshotChunk, SnapshotInstalled]], Awaitable[None]]


class Ear(Protocol):
    """To whom the receiver passes on what it hears."""

    def committed_quorum(self) -> tuple[QuorumRecord | None, int]:
        """The newest that is known to be committed, and its entry's index."""
        ...

    async def join(self, cluster_id: str, cluster_epoch: int) -> None:
        """The directory belongs to that cluster from now on. Returns when that is durable."""
        ...

    def greet(self, hello: RaftHello) -> None:
        """A coordinator that was let in says who and where it is."""
        ...

    def step(self, message: RaftMessage) -> None:
        """A message of one that was let in."""
        ...


class RaftReceiver:
    """`probe` makes the answer to a probe; `install` handles streams that bring a snapshot."""

    def __init__(
        self,
        local: LocalCoordinator,
        ear: Ear,
        *,
        probe: Callable[[], ProbeResponse],
        install: InstallHandler,
    ) -> None:
        self._local = local
        self._ear = ear
        self._probe = probe
        self._install = install
        self._open: dict[asyncio.Timeout, None] = {}

    def service(self) -> Service:
        streams: dict[StreamMethod[Any, Any], StreamHandler] = {
            EXCHANGE: self.exchange,
            INSTALL_SNAPSHOT: self._install,
        }
        return Service(RAFT_SERVICE, {PROBE: self.probe}, streams)

    async def probe(self, _request: ProbeRequest, _info: CallInfo) -> ProbeResponse:
        return self._probe()

    async def exchange(self, stream: ServerStream[RaftEnvelope, RaftRefusal]) -> None:
        """Hello first, then messages, until the stream ends or something on it is wrong."""
        try:
            async with asyncio.timeout(FIRST_MESSAGE_TIMEOUT_S):
                envelope = await stream.receive()
        except TimeoutError:
            raise RpcError(Status.DEADLINE_EXCEEDED, "nothing was said on the stream") from None
        if envelope is None:
            return
        try:
            await self.let_in(envelope.hello)
            await self._listen_until_hung_up(stream, envelope.hello)
        except StreamkeepError as error:
            await stream.send(refusal(error, self._local.identity))

    def hang_up(self) -> None:
        """End all streams of messages: the others keep them open for as long as they live."""
        for stream in self._open:
            stream.reschedule(asyncio.get_running_loop().time())

    async def let_in(self, hello: RaftHello) -> None:
        """Take note of a speaker. Raises why it is refused."""
        if self._check(hello) is Admission.JOIN:
            await self._ear.join(hello.cluster_id, hello.cluster_epoch)
        self._ear.greet(hello)

    def _check(self, hello: RaftHello) -> Admission:
        check_hello(hello)
        outcome = admit(hello, self._local.identity, *self._ear.committed_quorum())
        if isinstance(outcome, StreamkeepError):
            raise outcome
        return outcome

    async def _listen_until_hung_up(
        self, stream: ServerStream[RaftEnvelope, RaftRefusal], hello: RaftHello
    ) -> None:
        try:
            async with asyncio.timeout(None) as end:
                self._open[end] = None
                try:
                    await self._listen(stream, hello)
                finally:
                    del self._open[end]
        except TimeoutError:
            return

    async def _listen(self, stream: ServerStream[RaftEnvelope, RaftRefusal], hello: RaftHello) -> None:
        speaker = (hello.coordinator_id, hello.directory_id)
        _, quorum_index = self._ear.committed_quorum()
        while (envelope := await stream.receive()) is not None:
            if self._ear.committed_quorum()[1] != quorum_index:
                _, quorum_index = self._ear.committed_quorum()
                self._check(hello)  # it may have been removed
            message = envelope.message
            check_message(message)
            if (message.sender, message.sender_directory_id) != speaker:
                raise InvalidRequestError("a message in the name of another coordinator")
            self._ear.step(message)
