"""Keeps every assigned partition read, from its leader or a replica near by, and hands out what has come.

The shell around partition readers: it follows leaders, waits after errors, and resets positions where the
application chose so.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Literal

from streamkeep.client import Client
from streamkeep.cluster_view import NO_ADDRESS
from streamkeep.consumer.fetch_link import FetchLink, Place
from streamkeep.consumer.metrics import ConsumerCounts
from streamkeep.consumer.options import ConsumerOptions
from streamkeep.consumer.partition_reader import NOT_SUBSCRIBED, PartitionReader
from streamkeep.consumer.records import ConsumedBatch
from streamkeep.consumer.route import SHUN, Route
from streamkeep.offsets import list_offsets
from streamkeep.topic_partition import TopicPartition
from streamkeep_common.errors import (
    ClosedError,
    CorruptDataError,
    CorruptLogError,
    OffsetOutOfRangeError,
    StreamkeepError,
    UnknownPartitionError,
    UnknownTopicError,
    from_proto,
)
from streamkeep_common.retry import Backoff, RetryPolicy
from streamkeep_proto.v1.broker_pb2 import FetchedPartition

_logger = logging.getLogger(__name__)

_RETRY = RetryPolicy(first_wait_ms=20, max_wait_ms=500)
"""Between attempts for one partition after its broker refused one."""

_DAMAGES = 10
"""So often in a row data may be damaged before the application hears of it, some three seconds."""


class Fetcher:
    """Serves all partitions of one consumer."""

    def __init__(self, client: Client, options: ConsumerOptions, counts: ConsumerCounts) -> None:
        self.readers: dict[TopicPartition, PartitionReader] = {}
        self._client = client
        self._reset = options.reset
        self._rack = options.rack
        self._counts = counts
        self._routes: dict[PartitionReader, Route] = {}
        self._links: dict[str, FetchLink] = {}
        self._turns: deque[PartitionReader] = deque()
        self._in_turns: set[PartitionReader] = set()
        self._arrived = asyncio.Event()
        self._last_subscription = 0
        self._closed = False
        client.metadata.watch(self._follow_leaders)

    # --- what the consumer asks for ---

    def assign(self, readers: list[PartitionReader]) -> None:
        """Read these and no others."""
        for reader in list(self.readers.values()):
            self._let_go(reader)
        self._turns.clear()
        self._in_turns.clear()
        self.readers = {reader.topic_partition: reader for reader in readers}
        for reader in readers:
            self._routes[reader] = self._new_route()
        self._follow_leaders()

    def seek(self, reader: PartitionReader, offset: int) -> None:
        """Read on from there; what was fetched is dropped."""
        route = self._routes[reader]
        route.stop_waiting()
        if route.link is not None:
            route.link.stop(reader)
        reader.seek(offset)
        if route.link is None:  # nobody leads it, or its topic is gone, which is to be said again
            self._client.metadata.refresh_soon()
        self._restart(reader)

    def take(self) -> ConsumedBatch | None:
        """Records of the partition whose turn it is, None if none have come. Raises what is in their way."""
        while self._turns:
            reader = self._turns.popleft()
            self._in_turns.discard(reader)
            try:
                batch = reader.take()
            finally:
                self.offer(reader)
            if batch is not None:
                link = self._routes[reader].link
                if link is not None:
                    link.credit(reader)
                self._counts.taken(batch)
                return batch
        return None

    def put_back(self, reader: PartitionReader, batch: ConsumedBatch) -> None:
        """What was taken was not handed out after all: it comes next of its partition."""
        reader.put_back(batch)
        self._counts.put_back(batch)
        self.offer(reader)

    async def wait(self) -> None:
        """Until `take` may give something. Raises ClosedError when the consumer is closed meanwhile."""
        self._arrived.clear()
        if not self._turns and not self._closed:
            await self._arrived.wait()
        if self._closed:
            raise ClosedError("the consumer was closed")

    def offer(self, reader: PartitionReader) -> None:
        """The reader may have something to hand out."""
        if reader.has_outcome() and reader not in self._in_turns:
            self._in_turns.add(reader)
            self._turns.append(reader)
            self._arrived.set()

    async def close(self) -> None:
        self._closed = True
        self._arrived.set()
        self._client.metadata.unwatch(self._follow_leaders)
        for reader in list(self.readers.values()):
            self._let_go(reader)
        await asyncio.gather(*(link.end() for link in self._links.values()), return_exceptions=True)

    # --- FetchEvents ---

    def next_subscription(self) -> int:
        self._last_subscription += 1
        return self._last_subscription

    def place(self, reader: PartitionReader) -> Place:
        return self._routes[reader].place()

    def on_data(self, reader: PartitionReader) -> None:
        if isinstance(reader.failure, CorruptDataError) and self._damage_may_be_mended(reader):
            reader.forgive()
        else:
            self._routes[reader].succeeded()
        self.offer(reader)

    def on_ended(self, reader: PartitionReader, fetched: FetchedPartition) -> None:
        route = self._routes[reader]
        if fetched.HasField("preferred_replica"):
            route.read_from(fetched.preferred_replica.address)
            self._move(reader)
        elif route.replica_address != NO_ADDRESS:  # what a follower refuses, the leader may have
            self._come_back(reader)
        else:
            self._refused(reader, from_proto(fetched.error))

    def _refused(self, reader: PartitionReader, error: StreamkeepError) -> None:
        """The leader's word."""
        topic_partition = reader.topic_partition
        if isinstance(error, OffsetOutOfRangeError) and self._reset != "error":
            route = self._routes[reader]
            route.resetting = asyncio.create_task(self._reset_position(reader, error, self._reset))
        elif error.retriable or isinstance(error, UnknownTopicError | UnknownPartitionError):
            # An unknown topic may only be news that the broker has not heard, or a deletion that we have not.
            self._try_again(reader)
            if not self._client.metadata.hint(topic_partition.topic, topic_partition.partition, error.leader):
                self._client.metadata.refresh_soon()
        elif not (isinstance(error, CorruptLogError) and self._damage_may_be_mended(reader)):
            self._fail(reader, error)

    def _damage_may_be_mended(self, reader: PartitionReader) -> bool:
        """Ask again, unless that was in vain too often: a broker verifies what a reader begins with, and one
        that finds its replica damaged leaves the lead to another."""
        reader.damages += 1
        if reader.damages > _DAMAGES:
            return False
        self._try_again(reader)
        self._client.metadata.refresh_soon()
        return True

    def on_refused(self, reader: PartitionReader, error: StreamkeepError) -> None:
        self._fail(reader, error)

    def on_trouble(self, address: str) -> None:
        self._client.metadata.refresh_soon()
        for reader, route in list(self._routes.items()):
            if route.replica_address == address:
                self._come_back(reader)

    # --- when and where to read ---

    def _restart(self, reader: PartitionReader) -> None:
        """Subscribe from where the reader stands, if it is known where."""
        route = self._routes[reader]
        if reader.failure is None and route.link is not None:
            route.link.start(reader)

    def _try_again(self, reader: PartitionReader) -> None:
        route = self._routes[reader]
        route.timer = asyncio.get_running_loop().call_later(
            route.backoff.next_wait_s(), self._restart, reader
        )

    async def _reset_position(
        self, reader: PartitionReader, error: StreamkeepError, target: Literal["earliest", "latest"]
    ) -> None:
        """The chosen answer to an offset that is gone, or not there yet."""
        asked = await list_offsets(
            self._client, {reader.topic_partition: target}, timeout_s=self._client.request_timeout_s
        )
        answer = asked[reader.topic_partition]
        if isinstance(answer, StreamkeepError):
            if answer.retriable:
                self._try_again(reader)
            else:
                self._fail(reader, answer)
            return
        _logger.warning(
            "%s: %s reset from %d to %d",
            error.message,
            reader.topic_partition,
            reader.fetch_offset,
            answer.offset,
        )
        reader.reset(answer.offset)
        self._restart(reader)
        self._arrived.set()  # who reads up to an end may have reached it

    def _fail(self, reader: PartitionReader, error: StreamkeepError) -> None:
        reader.fail(error)
        self.offer(reader)

    def _follow_leaders(self) -> None:
        """Read every partition from its leader by the latest view."""
        leaderless = False
        for topic_partition, reader in list(self.readers.items()):
            topic = self._client.metadata.view.topics.get(topic_partition.topic)
            if topic is None or topic.topic_id != reader.topic_id:
                self._route(reader, NO_ADDRESS, 0)
                if reader.failure is None:
                    self._fail(reader, UnknownTopicError(f"topic '{topic_partition.topic}' was deleted"))
                continue
            partition = topic.partitions[topic_partition.partition]
            self._route(reader, partition.address, partition.leader_epoch)
            leaderless = leaderless or partition.address == NO_ADDRESS
        if leaderless:
            self._client.metadata.refresh_soon()

    def _new_route(self) -> Route:
        rng = self._client.rng
        return Route(self._rack, backoff=Backoff(_RETRY, rng), replica_backoff=Backoff(SHUN, rng))

    def _route(self, reader: PartitionReader, address: str, leader_epoch: int) -> None:
        if self._routes[reader].follow_leader(address, leader_epoch):
            self._move(reader)

    def _move(self, reader: PartitionReader) -> None:
        """Read on where the route now leads."""
        route = self._routes[reader]
        route.stop_waiting()
        if route.link is not None:
            route.link.stop(reader)
        route.link = self._link(route.address) if route.address != NO_ADDRESS else None
        self._restart(reader)

    def _come_back(self, reader: PartitionReader) -> None:
        """From a replica that could not be read from to the leader."""
        route = self._routes[reader]
        wait_s = route.replica_backoff.next_wait_s()
        route.come_back(asyncio.get_running_loop().call_later(wait_s, self._ask_for_replica, reader))
        self._move(reader)

    def _ask_for_replica(self, reader: PartitionReader) -> None:
        """The replica may be in sync again; the leader, once it knows our rack, says so whenever one is."""
        self._routes[reader].shun_no_more()
        if reader.subscription != NOT_SUBSCRIBED:
            self._restart(reader)

    def _link(self, address: str) -> FetchLink:
        link = self._links.get(address)
        if link is None:
            link = self._links[address] = FetchLink(address, client=self._client, events=self)
        return link

    def _let_go(self, reader: PartitionReader) -> None:
        route = self._routes.pop(reader)
        route.stop_waiting()
        route.shun_no_more()
        if route.link is not None:
            route.link.stop(reader)
        del self.readers[reader.topic_partition]
