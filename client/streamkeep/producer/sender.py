"""Takes batches from the queues to the brokers that lead them, and outcomes back to the receipts.

The shell around the accumulator and the sequencers: it follows leaders, waits after errors, gives up what
is too old, and never surfaces a retriable error before that.
"""

from __future__ import annotations

import asyncio
import logging

from streamkeep.client import Client
from streamkeep.cluster_view import NO_ADDRESS, PartitionView
from streamkeep.producer.accumulator import PartitionQueue, TopicBuffer
from streamkeep.producer.answers import Action, action_for
from streamkeep.producer.batch import Batch
from streamkeep.producer.buffer_pool import BufferPool
from streamkeep.producer.delivery import UNKNOWN_OFFSET, Receipt
from streamkeep.producer.dispatch import Dispatch, Sent
from streamkeep.producer.metrics import ProducerCounts
from streamkeep.producer.options import ProducerOptions
from streamkeep.producer.produce_link import ProduceLink
from streamkeep.producer.sequencer import Verdict
from streamkeep_common.errors import (
    ClosedError,
    DeliveryTimeoutError,
    NotEnoughReplicasError,
    OutOfOrderSequenceError,
    StreamkeepError,
    UnknownTopicError,
    from_proto,
    raise_if_error,
)
from streamkeep_common.limits import MIB
from streamkeep_common.methods import INIT_PRODUCER
from streamkeep_common.partitioning import KeyHashes
from streamkeep_common.retry import Backoff, RetryPolicy
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.broker_pb2 import InitProducerRequest, ProduceResult

_logger = logging.getLogger(__name__)

_RETRY = RetryPolicy(first_wait_ms=20, max_wait_ms=500)
"""Between attempts for one partition after the broker refused one."""

_REQUEST_BYTES = MIB
"""A request takes no further batch above this size."""

_EAGER_REQUESTS = 1
"""Below so many unanswered requests a broker gets what there is at once; see `Dispatch`."""

_SWEEPS_PER_TIMEOUT = 50
_MAX_SWEEP_S = 0.5


class _Route:
    """Where one queue's batches go at present."""

    __slots__ = ("backoff", "last_error", "leader_epoch", "link")

    def __init__(self, backoff: Backoff) -> None:
        self.link: ProduceLink | None = None
        self.leader_epoch = 0
        self.backoff = backoff
        self.last_error: StreamkeepError | None = None


class Sender:
    """Serves all queues of one producer."""

    def __init__(self, client: Client, options: ProducerOptions, pool: BufferPool) -> None:
        self.buffers: dict[str, TopicBuffer] = {}
        self.counts = ProducerCounts()
        self._client = client
        self._options = options
        self._pool = pool
        self._hashes = KeyHashes()
        self._routes: dict[PartitionQueue, _Route] = {}
        self._links: dict[str, ProduceLink] = {}
        self._closed = False
        self._producer_id = 0
        self._asking_id = asyncio.Lock()
        self._sweeping = asyncio.create_task(self._sweep(), name="streamkeep-producer-sweep")
        client.metadata.watch(self._follow_leaders)

    # --- what the producer asks for ---

    async def open_topic(self, name: str) -> TopicBuffer:
        """The topic's queues, after looking it up, for which a delivery's time is enough at most. Raises
        UnknownTopicError and the like."""
        timeout_s = min(self._client.request_timeout_s, self._options.delivery_timeout_ms / 1000)
        view = await self._client.metadata.topic(name, timeout_s=timeout_s)
        if self._closed:
            raise ClosedError("the producer was closed")
        buffer = self.buffers.get(name)
        if buffer is None:
            buffer = self.buffers[name] = TopicBuffer(
                name,
                view.topic_id,
                batch_bytes=self._options.batch_bytes,
                max_in_flight=self._options.max_in_flight,
                pool=self._pool,
                listener=self,
                hashes=self._hashes,
                rng=self._client.rng,
            )
            self._follow_leaders()
        return buffer

    async def flush(self) -> None:
        """Send all that is buffered now, and wait until it is settled."""
        waiting: list[tuple[Receipt, int]] = []
        for queue in list(self._routes):
            waiting += [(b.receipt, b.first_index + b.record_count - 1) for b in queue.sequencer.pending]
            if queue.open is not None:
                queue.open.due = True
                waiting.append((queue.open.receipt, len(queue.open.values) - 1))
                self._offer(queue)
        for receipt, index in waiting:
            await receipt.wait(index)

    def count_unsettled(self) -> int:
        """Records that are buffered, or on their way."""
        queues = [queue for buffer in self.buffers.values() for queue in buffer.queues]
        pending = sum(batch.record_count for queue in queues for batch in queue.sequencer.pending)
        return pending + sum(len(queue.open.values) for queue in queues if queue.open is not None)

    async def close(self) -> None:
        """Stop at once; what is not settled fails with ClosedError, also if the wait is cancelled."""
        self._closed = True
        self._client.metadata.unwatch(self._follow_leaders)
        for buffer in list(self.buffers.values()):
            self._drop_topic(buffer, ClosedError("the producer was closed before the broker had answered"))
        self._sweeping.cancel()
        links = [link.end() for link in self._links.values()]
        await asyncio.gather(self._sweeping, *links, return_exceptions=True)

    # --- QueueListener ---

    def on_open(self, queue: PartitionQueue) -> None:
        link = self._routes[queue].link
        if link is None:
            self._client.metadata.refresh_soon()
            return
        link.dispatch.add_open(queue)
        link.wake()

    def on_full(self, queue: PartitionQueue) -> None:
        self._offer(queue)

    # --- ProduceEvents ---

    async def producer_id(self, address: str) -> int:
        async with self._asking_id:
            if not self._producer_id:
                response = await self._client.call_broker(address, INIT_PRODUCER, InitProducerRequest())
                raise_if_error(response.error)
                self._producer_id = response.producer_id
        return self._producer_id

    def leader_epoch(self, sent: Sent) -> int:
        return self._routes[sent.queue].leader_epoch

    def on_request(self, batches: list[Sent]) -> None:
        self.counts.requests += 1
        for sent in batches:
            self.counts.sent(sent.batch)

    def on_result(self, sent: Sent, result: ProduceResult) -> None:
        queue, code = sent.queue, result.error.code
        self.counts.answered(self._client.clock.monotonic() - sent.sent_s)
        action = action_for(code)
        if code == errors_pb2.NOT_ENOUGH_REPLICAS:
            sent.batch.unrefused -= 1
        if action is Action.DONE:
            if queue.sequencer.acknowledge(sent.batch, sent.attempt):
                offset = UNKNOWN_OFFSET if code == errors_pb2.DUPLICATE_SEQUENCE else result.base_offset
                self._acknowledged(sent, offset)
        elif sent.attempt == queue.sequencer.attempt:
            self._refused(sent, action, from_proto(result.error))

    def on_unsendable(self, sent: Sent, error: StreamkeepError) -> None:
        self._refused(sent, action_for(error.code), error)

    def on_trouble(self) -> None:
        self._client.metadata.refresh_soon()

    def on_lost(self, address: str, unanswered: list[Sent], error: StreamkeepError) -> None:
        if isinstance(error, ClosedError):  # a client that was shared: nothing will ever be sent again
            for buffer in list(self.buffers.values()):
                self._drop_topic(buffer, error)
            return
        self._client.metadata.refresh_soon()
        for route in self._routes.values():
            if route.link is not None and route.link.address == address:
                route.last_error = error
        for sent in unanswered:
            if sent.attempt == sent.queue.sequencer.attempt:
                sent.queue.sequencer.recover()
                self._offer(sent.queue)

    # --- outcomes ---

    def _acknowledged(self, sent: Sent, base_offset: int) -> None:
        batch, route = sent.batch, self._routes[sent.queue]
        route.backoff.reset()
        route.last_error = None
        self.counts.acknowledged(batch)
        batch.receipt.acknowledge(batch.first_index, batch.record_count, base_offset)
        self._pool.give(batch.reserved)
        self._offer(sent.queue)

    def _refused(self, sent: Sent, action: Action, error: StreamkeepError) -> None:
        """The broker did not store the batch, and that is the latest word on it."""
        queue, sequencer = sent.queue, sent.queue.sequencer
        self._routes[queue].last_error = error
        if action is Action.RENUMBER:
            self._renumber(sent, error)
            self._pause(queue)
        elif action is Action.SPLIT and sent.batch.record_count > 1:
            sequencer.replace(sent.batch, sent.batch.split(), sent.attempt)
        elif action in (Action.FIND_LEADER, Action.TRY_AGAIN):
            sequencer.recover()
            self._pause(queue)
            if action is Action.FIND_LEADER and not self._client.metadata.hint(
                queue.topic, queue.partition, error.leader
            ):
                self._client.metadata.refresh_soon()
        else:
            sequencer.refuse(sent.batch, sent.attempt)
            self._fail(queue, [sent.batch], error)
        self._offer(queue)

    def _renumber(self, sent: Sent, error: StreamkeepError) -> None:
        verdict = sent.queue.sequencer.sequence_refused(sent.batch, sent.attempt)
        if verdict is Verdict.RECORDS_MISSING and isinstance(error, OutOfOrderSequenceError):
            _logger.error(
                "the leader of %s-%s misses records that were acknowledged: %s",
                sent.queue.topic,
                sent.queue.partition,
                error,
            )

    def _fail(self, queue: PartitionQueue, batches: list[Batch], error: StreamkeepError) -> None:
        """The end for these batches, told to whoever waits, and to the log for those who do not."""
        if not batches:
            return
        count = sum(batch.record_count for batch in batches)
        what = "1 record" if count == 1 else f"{count} records"
        _logger.warning("%s for %s-%s failed: %s", what, queue.topic, queue.partition, error)
        for batch in batches:
            self.counts.failed(batch)
            batch.receipt.fail(batch.first_index, batch.record_count, error)
            self._pool.give(batch.reserved)

    # --- when and where to try again ---

    def _offer(self, queue: PartitionQueue) -> None:
        """The queue may have something to send."""
        route = self._routes.get(queue)
        if route is not None and route.link is not None:
            route.link.dispatch.add_ready(queue)
            route.link.wake()

    def _pause(self, queue: PartitionQueue) -> None:
        wait_s = self._routes[queue].backoff.next_wait_s()
        queue.resume_at_s = self._client.clock.monotonic() + wait_s
        asyncio.get_running_loop().call_later(wait_s, self._resume, queue)

    def _resume(self, queue: PartitionQueue) -> None:
        queue.resume_at_s = 0.0
        self._offer(queue)

    def _follow_leaders(self) -> None:
        """Route every queue by the latest view; give up on topics that are gone or have been made anew."""
        leaderless = False
        for buffer in list(self.buffers.values()):
            view = self._client.metadata.view.topics.get(buffer.topic)
            if view is None or view.topic_id != buffer.topic_id:
                self._drop_topic(buffer, UnknownTopicError(f"topic '{buffer.topic}' was deleted"))
                continue
            for queue in buffer.grow(len(view.partitions)):
                self._routes[queue] = _Route(Backoff(_RETRY, self._client.rng))
            for queue, partition in zip(buffer.queues, view.partitions, strict=True):
                self._follow_leader(queue, partition)
                leaderless = leaderless or not (queue.has_leader or queue.is_empty())
        if leaderless:
            self._client.metadata.refresh_soon()

    def _follow_leader(self, queue: PartitionQueue, partition: PartitionView) -> None:
        route = self._routes[queue]
        address = route.link.address if route.link is not None else NO_ADDRESS
        if (address, route.leader_epoch) == (partition.address, partition.leader_epoch):
            return
        route.leader_epoch = partition.leader_epoch
        if address != partition.address:
            if route.link is not None:
                route.link.dispatch.forget(queue)
            queue.sequencer.recover()
            queue.has_leader = partition.address != NO_ADDRESS
            route.link = self._link(partition.address) if queue.has_leader else None
            if queue.open is not None:
                queue.open.due = True
        self._resume(queue)

    def _link(self, address: str) -> ProduceLink:
        link = self._links.get(address)
        if link is None:
            dispatch = Dispatch(
                linger_s=self._options.linger_ms / 1_000,
                request_bytes=_REQUEST_BYTES,
                eager_requests=_EAGER_REQUESTS,
            )
            link = self._links[address] = ProduceLink(
                address, client=self._client, dispatch=dispatch, codec=self._options.codec, events=self
            )
        return link

    def _drop_topic(self, buffer: TopicBuffer, error: StreamkeepError) -> None:
        del self.buffers[buffer.topic]
        for queue in buffer.queues:
            route = self._routes.pop(queue)
            if route.link is not None:
                route.link.dispatch.forget(queue)
            queue.close_open()
            batches = list(queue.sequencer.pending)
            queue.sequencer.pending.clear()
            queue.sequencer.recover()
            self._fail(queue, batches, error)

    # --- what is too old ---

    async def _sweep(self) -> None:
        timeout_s = self._options.delivery_timeout_ms / 1_000
        while True:
            await self._client.clock.sleep(min(_MAX_SWEEP_S, timeout_s / _SWEEPS_PER_TIMEOUT))
            self._expire(self._client.clock.monotonic() - timeout_s)

    def _expire(self, opened_before_s: float) -> None:
        leaderless = False
        for queue, route in self._routes.items():
            if queue.is_empty():
                continue
            leaderless = leaderless or route.link is None
            if queue.open is not None and queue.open.opened_s <= opened_before_s:
                queue.close_open()
            expired = queue.sequencer.expire(opened_before_s)
            if expired:
                self._give_up(queue, expired, route)
                self._offer(queue)
        if leaderless:
            self._client.metadata.refresh_soon()

    def _give_up(self, queue: PartitionQueue, batches: list[Batch], route: _Route) -> None:
        """They are too old. Those that were refused as often as they were sent are known not to be stored."""
        last, waited = route.last_error, f"for {self._options.delivery_timeout_ms} ms"
        partition = f"{queue.topic}-{queue.partition}"
        if isinstance(last, NotEnoughReplicasError):
            refused = [batch for batch in batches if not batch.unrefused]
            batches = [batch for batch in batches if batch.unrefused]
            error = NotEnoughReplicasError(f"{partition} stored nothing of this {waited}: {last.message}")
            self._fail(queue, refused, error)
        reason = last or ("the broker has not answered" if queue.has_leader else "it has no leader")
        timeout = DeliveryTimeoutError(f"{partition} acknowledged nothing of this {waited}: {reason}")
        timeout.__cause__ = last
        self._fail(queue, batches, timeout)
