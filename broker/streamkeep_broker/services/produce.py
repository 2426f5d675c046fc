"""The produce stream: batches in, one result a batch out, when the high watermark has passed it.

One task reads and appends, one writes whatever results have come together; no task, future or timer is
made for a request. Backpressure is the transport's: over budget nothing more is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from streamkeep_broker.replication.partitions import Partitions
from streamkeep_broker.replication.waiters import PendingAppend
from streamkeep_broker.services.budget import Budget
from streamkeep_broker.services.limits import (
    HEARTBEAT_S,
    MAX_PARTITIONS_PER_REQUEST,
    MAX_RESULTS_PER_RESPONSE,
    RESULT_BYTES,
    UNREAD_ANSWERS_S,
)
from streamkeep_broker.services.stream_service import StreamService
from streamkeep_broker.streams import Bell, run_halves
from streamkeep_common.errors import InvalidRequestError, StreamkeepError, to_proto
from streamkeep_common.records import CODEC_MASK
from streamkeep_common.seams import Clock, RpcError, ServerStream, Status
from streamkeep_proto.v1.broker_pb2 import (
    PartitionBatch,
    ProduceRequest,
    ProduceResponse,
    ProduceResult,
)

ProduceServerStream = ServerStream[ProduceRequest, ProduceResponse]


class Observer(Protocol):
    """What the produce service counts."""

    def produced(self, batches: int, size_bytes: int) -> None: ...

    def answered(self, latency_s: float) -> None: ...

    def produce_streams(self, count: int) -> None: ...


class ProduceService(StreamService):
    """Serves produce streams and ends them when the broker stops."""

    def __init__(
        self,
        *,
        partitions: Partitions,
        budget: Budget,
        clock: Clock,
        unconfirmed: Callable[[], bool],
        observer: Observer,
    ) -> None:
        super().__init__(observer.produce_streams)
        self.partitions = partitions
        self.budget = budget
        self.clock = clock
        self.unconfirmed = unconfirmed
        self.observer = observer

    async def handle(self, stream: ProduceServerStream) -> None:
        """One client's stream, until it half-closes, goes away, or the broker stops."""
        await self.serve(ProduceStream(self, stream))


class PendingResult(PendingAppend):
    """A batch of a request, until its result is given to the writer."""

    __slots__ = ("charge", "partition", "received_at", "request_id", "stream", "topic_id")

    def __init__(
        self, stream: ProduceStream, item: PartitionBatch, request_id: int, received_at: float
    ) -> None:
        super().__init__()
        self.stream = stream
        self.request_id = request_id
        self.received_at = received_at
        self.topic_id = item.topic_id
        self.partition = item.partition
        self.charge = RESULT_BYTES + len(self.topic_id)

    def done(self) -> None:
        self.stream.answer(self)


class ProduceStream:
    """One client's produce stream."""

    def __init__(self, service: ProduceService, stream: ProduceServerStream) -> None:
        self._service = service
        self._stream = stream
        self._to_write = Bell()
        self._room = Bell()
        self._budget = service.budget.open_stream(self._room.ring)
        self._answered: list[PendingResult] = []
        self._waiting = 0
        self._reading = True
        self._abandoned = False

    async def run(self) -> None:
        """Returns when the stream is over; nobody hears of what still waits then."""
        try:
            await run_halves(self._read(), self._write())
        finally:
            self._abandoned = True
            self._budget.close()
            self._answered.clear()

    def wake(self) -> None:
        """Look again at whether the broker is closing."""
        self._to_write.ring()
        self._room.ring()

    def answer(self, pending: PendingResult) -> None:
        """The outcome of a batch is known."""
        if not self._abandoned:
            self._waiting -= 1
            self._answered.append(pending)
            self._to_write.ring()

    # --- reading ---

    async def _read(self) -> None:
        try:
            while await self._may_read():
                request = await self._stream.receive()
                if request is None or self._service.closing is not None:
                    return
                await self._append_all(request)
                del request  # its bytes are on their way to the disk; the next one may be long in coming
        finally:
            self._reading = False
            self._to_write.ring()

    async def _may_read(self) -> bool:
        """Wait until there is room; False when the broker is closing.

        It looks from time to time, too: the room may have been offered to a stream that has nothing to say.
        """
        while self._service.closing is None:
            if self._budget.has_room():
                return True
            await self._room.wait(HEARTBEAT_S)
        return False

    async def _append_all(self, request: ProduceRequest) -> None:
        batches = request.batches
        if len(batches) > MAX_PARTITIONS_PER_REQUEST:
            raise RpcError(
                Status.INVALID_ARGUMENT,
                f"a produce request carries at most {MAX_PARTITIONS_PER_REQUEST} batches",
            )
        request_id = request.request_id
        received_at = self._service.clock.monotonic()
        size_bytes = 0
        for item in batches:
            size_bytes += self._append(item, PendingResult(self, item, request_id, received_at))
            if item.batch.attributes & CODEC_MASK:
                # To open what swells to the limit takes 200 ms, and a request may carry thousands of these:
                # everybody else, the broker's own session too, gets a turn in between.
                await asyncio.sleep(0)
        self._service.observer.produced(len(batches), size_bytes)

    def _append(self, item: PartitionBatch, pending: PendingResult) -> int:
        """Returns the bytes of the batch's records."""
        batch = item.batch
        payload = batch.records
        pending.charge += len(payload)
        self._waiting += 1
        self._budget.charge(pending.charge)
        try:
            if not item.HasField("batch"):
                raise InvalidRequestError("a produce request names a partition without a batch")
            partition = self._service.partitions.find(pending.topic_id, pending.partition)
        except StreamkeepError as error:
            pending.refuse(error)
            pending.done()
        else:
            partition.append(batch, payload, leader_epoch=item.leader_epoch, pending=pending)
        return len(payload)

    # --- writing ---

    async def _write(self) -> None:
        while True:
            await self._to_write.wait(HEARTBEAT_S)
            finished = self._is_finished()
            response, charge = self._take_answers()
            if finished and self._service.closing is not None:
                response.closing.CopyFrom(self._service.closing)
            await self._send(response)
            self._budget.release(charge)
            if finished:
                return

    async def _send(self, response: ProduceResponse) -> None:
        try:
            async with asyncio.timeout(UNREAD_ANSWERS_S):
                await self._stream.send(response)
        except TimeoutError:
            reason = f"no answer was taken for {UNREAD_ANSWERS_S} s"
            raise RpcError(Status.DEADLINE_EXCEEDED, reason) from None

    def _is_finished(self) -> bool:
        if self._waiting or len(self._answered) > MAX_RESULTS_PER_RESPONSE:
            return False
        return not self._reading or self._service.closing is not None

    def _take_answers(self) -> tuple[ProduceResponse, int]:
        """What there is to tell and its charge; no results is a heartbeat."""
        answered, self._answered = (
            self._answered[:MAX_RESULTS_PER_RESPONSE],
            self._answered[MAX_RESULTS_PER_RESPONSE:],
        )
        if self._answered:
            self._to_write.ring()
        response = ProduceResponse(leadership_unconfirmed=self._service.unconfirmed())
        if answered:
            response.results.extend(map(_result, answered))
            self._service.observer.answered(self._service.clock.monotonic() - answered[0].received_at)
        return response, sum(pending.charge for pending in answered)


def _result(pending: PendingResult) -> ProduceResult:
    error = pending.error
    return ProduceResult(
        request_id=pending.request_id,
        topic_id=pending.topic_id,
        partition=pending.partition,
        error=to_proto(error) if error is not None else None,
        base_offset=pending.base_offset if error is None else -1,
        append_time_ms=pending.append_time_ms,
        log_start_offset=pending.log_start_offset,
    )
