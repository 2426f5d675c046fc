"""A broker's replication service on a simulated machine, and followers that speak the protocol by hand."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.replication.partition import Partition
from streamkeep_broker.replication.partitions import Partitions
from streamkeep_broker.services.replica_hashes import ReplicaHashesService
from streamkeep_broker.services.replicate import ReplicateService
from streamkeep_broker.services.service import replication_service
from streamkeep_common.errors import UnknownTopicError
from streamkeep_common.image import BrokerImage, PartitionImage
from streamkeep_common.limits import MIB
from streamkeep_common.methods import REPLICATE
from streamkeep_common.seams import ClientStream, Listener
from streamkeep_proto.v1.broker_pb2 import Closing
from streamkeep_proto.v1.errors_pb2 import LeaderHint
from streamkeep_proto.v1.metadata_pb2 import BrokerRecord
from streamkeep_proto.v1.records_pb2 import LogSegment
from streamkeep_proto.v1.replication_pb2 import (
    FollowEnd,
    FollowerAck,
    FollowerHello,
    FollowStart,
    FollowStop,
    ReplicaPush,
    ReplicateRequest,
    ReplicateResponse,
)
from tests.sim.simulation import Simulation
from tests.unit.broker.clients import make_batch
from tests.unit.broker.log_manager.host import TOPIC_ID, Host, create
from tests.unit.broker.replication.led import Pending, image
from tests.unit.broker.simulated import as_test

ADDRESS = "broker:7201"
CLUSTER_ID = "C" * 22
ONE, TWO, THREE = 1, 2, 3

Scenario = Callable[["Pushing"], Coroutine[Any, Any, None]]


class Hosted:
    """The partitions that the service finds."""

    def __init__(self) -> None:
        self.by_number: dict[int, Partition] = {}

    def find(self, topic_id: bytes, partition: int) -> Partition:
        if topic_id != TOPIC_ID or partition not in self.by_number:
            raise UnknownTopicError("not here")
        return self.by_number[partition]


class Counts:
    """What the service counts."""

    def __init__(self) -> None:
        self.bytes = 0
        self.streams = 0

    def replicated(self, size_bytes: int) -> None:
        self.bytes += size_bytes

    def replication_streams(self, count: int) -> None:
        self.streams = count


class Pushing:
    """Broker 1 with the partitions that a test gives it."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.host = Host(simulation)
        self.machine = self.host.machine
        self.hosted = Hosted()
        self.counts = Counts()
        self.cluster_id = CLUSTER_ID
        self.broker_epochs = dict.fromkeys(range(1, 5), 1)
        self._sequences: dict[int, int] = {}
        self._others = 0
        self.logs: LogManager
        self.service: ReplicateService
        self.listener: Listener

    async def start(self, *, partitions: int = 1, window_bytes: int = 32 * MIB, **settings: object) -> None:
        """Leads so many partitions of brokers 1, 2 and 3, of which 1 and 2 are in sync."""
        self.logs = await self.host.start()
        self.machine = self.host.machine
        self.service = ReplicateService(
            partitions=cast(Partitions, self.hosted),
            clock=self.machine.clock,
            broker_id=ONE,
            cluster_id=lambda: self.cluster_id,
            window_bytes=window_bytes,
            observer=self.counts,
        )
        hashes = ReplicaHashesService(partitions=cast(Partitions, self.hosted))
        services = [replication_service(replicate=self.service, hashes=hashes)]
        self.listener = await self.machine.spawn(self.machine.network.serve(ADDRESS, services))
        for number in range(partitions):
            log = create(self.logs, number, **settings)
            self.hosted.by_number[number] = Partition(
                log, logs=self.logs, clock=self.machine.clock, broker_id=ONE, replica_lag_ms=3000
            )
            self.apply(image(isr=(1, 2)), number)

    @property
    def partition(self) -> Partition:
        return self.hosted.by_number[0]

    def apply(self, new: PartitionImage, number: int = 0) -> None:
        brokers = {
            broker_id: BrokerImage(BrokerRecord(broker_id=broker_id, broker_epoch=epoch), fenced=False)
            for broker_id, epoch in self.broker_epochs.items()
        }
        self.hosted.by_number[number].apply(new, None, brokers=brokers)

    def append(self, *values: bytes, partition: int = 0) -> Pending:
        """One batch, in this pass of the loop."""
        sequence = self._sequences.get(partition, 0)
        batch = make_batch(values, sequence=sequence)
        self._sequences[partition] = sequence + len(values)
        pending = Pending()
        self.hosted.by_number[partition].append(batch, batch.records, leader_epoch=0, pending=pending)
        assert pending.error is None
        return pending

    async def fill(self, size_bytes: int, *, partition: int = 0) -> None:
        """Batches of 250 KB, flushed."""
        for _ in range(size_bytes // 250_000):
            self.append(bytes(250_000), partition=partition)
        log = self.hosted.by_number[partition].log
        await self.until(lambda: log.flushed_end_offset == log.log_end_offset)

    async def follower(self, broker_id: int = TWO, **hello: Any) -> FollowerClient:
        """A stream of that broker, its hello said."""
        self._others += 1
        network = self.simulation.machine(f"follower{self._others}").network
        client = FollowerClient(network.dial(ADDRESS).open(REPLICATE))
        said = {"broker_epoch": 1, "cluster_id": CLUSTER_ID, "leader_id": ONE} | hello
        await client.send(ReplicateRequest(hello=FollowerHello(broker_id=broker_id, **said)))
        return client

    async def until(self, condition: Callable[[], bool], *, within_s: float = 30.0) -> None:
        deadline = self.machine.clock.monotonic() + within_s
        while not condition():
            assert self.machine.clock.monotonic() < deadline, "it never came about"
            await self.machine.clock.sleep(0.01)


class FollowerClient:
    """One stream. What came is kept."""

    def __init__(self, stream: ClientStream[ReplicateRequest, ReplicateResponse]) -> None:
        self.stream = stream
        self.responses: list[ReplicateResponse] = []
        self.pushes: list[ReplicaPush] = []
        self.closing: Closing | None = None

    async def send(self, request: ReplicateRequest) -> None:
        await self.stream.send(request)

    async def start(
        self,
        subscription: int = 1,
        *,
        partition: int = 0,
        at: int = 0,
        flushed: int | None = None,
        last_epoch: int = 0,
        leader_epoch: int = 1,
        topic_id: bytes = TOPIC_ID,
    ) -> None:
        start = FollowStart(
            subscription=subscription,
            topic_id=topic_id,
            partition=partition,
            leader_epoch=leader_epoch,
            log_end_offset=at,
            flushed_end_offset=at if flushed is None else flushed,
            last_epoch=last_epoch,
        )
        await self.send(ReplicateRequest(start=[start]))

    async def ack(self, end: int, flushed: int | None = None, *, subscription: int = 1) -> None:
        flushed = end if flushed is None else flushed
        ack = FollowerAck(subscription=subscription, log_end_offset=end, flushed_end_offset=flushed)
        await self.send(ReplicateRequest(acks=[ack]))

    async def stop(self, subscription: int = 1, newer: LeaderHint | None = None) -> None:
        await self.send(ReplicateRequest(stop=[FollowStop(subscription=subscription, newer_leader=newer)]))

    async def receive(self) -> ReplicateResponse | None:
        response = await self.stream.receive()
        if response is not None:
            self.responses.append(response)
            self.pushes.extend(response.pushes)
            if response.HasField("closing"):
                self.closing = response.closing
        return response

    async def until(self, condition: Callable[[], bool]) -> None:
        """Receive until it holds."""
        while not condition():
            assert await self.receive() is not None, "the stream ended before it came about"

    async def until_end(self, subscription: int = 1) -> FollowEnd:
        """How the subscription ended."""
        await self.until(lambda: bool(self._ends(subscription)))
        return self._ends(subscription)[0]

    async def until_offset(self, offset: int, subscription: int = 1) -> None:
        """All below the offset was pushed."""
        await self.until(lambda: self.next_offset(subscription) >= offset)

    def next_offset(self, subscription: int = 1) -> int:
        """Where the log of a follower that began at 0 would end now."""
        batches = [
            batch for push in self.of(subscription) for batch in LogSegment.FromString(push.frames).batches
        ]
        return batches[-1].base_offset + batches[-1].last_offset_delta + 1 if batches else 0

    def frames(self, subscription: int = 1) -> bytes:
        return b"".join(push.frames for push in self.of(subscription))

    def of(self, subscription: int) -> Sequence[ReplicaPush]:
        return [push for push in self.pushes if push.subscription == subscription]

    def _ends(self, subscription: int) -> list[FollowEnd]:
        return [push.end for push in self.of(subscription) if push.HasField("end")]

    async def keep_beating(self, clock_sleep: Callable[[float], Coroutine[Any, Any, None]]) -> None:
        """Heartbeats, until it is cancelled."""
        while True:
            await clock_sleep(0.4)
            await self.send(ReplicateRequest())


def simulated(scenario: Scenario) -> Callable[[], None]:
    """Make a test of a scenario: it runs in virtual time, from one seed."""
    return as_test(scenario, lambda simulation: scenario(Pushing(simulation)))
