"""Who may follow here: hellos of followers are checked, and their streams ended when the broker stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from streamkeep_broker.replication.partitions import Partitions
from streamkeep_broker.services import push_stream
from streamkeep_broker.services.push_stream import PushStream, ReplicaServerStream
from streamkeep_broker.services.stream_service import StreamService
from streamkeep_common.seams import Clock, RpcError, Status
from streamkeep_proto.v1.replication_pb2 import ReplicateRequest


class Observer(push_stream.Observer, Protocol):
    """What the replication service counts."""

    def replication_streams(self, count: int) -> None: ...


class ReplicateService(StreamService):
    """Serves the streams of followers and ends them when the broker stops.

    `cluster_id` is "" until it is known; a follower is refused until then.
    """

    def __init__(
        self,
        *,
        partitions: Partitions,
        clock: Clock,
        broker_id: int,
        cluster_id: Callable[[], str],
        window_bytes: int,
        observer: Observer,
    ) -> None:
        super().__init__(observer.replication_streams)
        self._partitions = partitions
        self._clock = clock
        self._window_bytes = window_bytes
        self._observer = observer
        self._broker_id = broker_id
        self._cluster_id = cluster_id

    async def handle(self, stream: ReplicaServerStream) -> None:
        """One stream of one follower, until it half-closes, goes away, falls silent, or the broker stops."""
        request = await stream.receive()
        if request is not None:
            self._check_hello(request)
            await self.serve(self._push_stream(stream, request))

    def _push_stream(self, stream: ReplicaServerStream, request: ReplicateRequest) -> PushStream:
        return PushStream(
            stream,
            request,
            partitions=self._partitions,
            clock=self._clock,
            window_bytes=self._window_bytes,
            observer=self._observer,
            closing=lambda: self.closing,
        )

    def _check_hello(self, request: ReplicateRequest) -> None:
        hello = request.hello
        if hello.broker_id < 1 or hello.broker_epoch < 1:
            raise RpcError(Status.INVALID_ARGUMENT, "a follower first says who it is")
        if hello.leader_id != self._broker_id:
            raise RpcError(
                Status.FAILED_PRECONDITION, f"this is broker {self._broker_id}, not {hello.leader_id}"
            )
        if hello.cluster_id != self._cluster_id():
            raise RpcError(
                Status.FAILED_PRECONDITION,
                f"this broker is of cluster {self._cluster_id() or '(none yet)'}, not {hello.cluster_id}",
            )
