"""Brokers as replication sees them: logs, a partition, the leader's service and followers, in virtual time.

What the image would say the test says: who leads, in which epoch, who is in sync.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.replication.following.following_replicas import FollowingReplicas
from streamkeep_broker.replication.partition import Partition
from streamkeep_broker.replication.partitions import Partitions
from streamkeep_broker.services.replicate import ReplicateService
from streamkeep_common.errors import UnknownTopicError
from streamkeep_common.image import BrokerImage, PartitionImage
from streamkeep_common.methods import REPLICATE, REPLICATION_SERVICE
from streamkeep_common.seams import Listener, Service
from streamkeep_common.settings import BrokerSettings, TopicSettings
from streamkeep_proto.v1.broker_pb2 import Closing
from streamkeep_proto.v1.errors_pb2 import SHUTTING_DOWN, Error, LeaderHint
from streamkeep_proto.v1.metadata_pb2 import BrokerRecord
from streamkeep_proto.v1.records_pb2 import RecordBatch
from streamkeep_proto.v1.replication_pb2 import FollowerHello
from tests.sim.disk import SimDisk
from tests.sim.simulation import Machine, Simulation
from tests.unit.broker.clients import make_batch
from tests.unit.broker.replication.led import Pending

CLUSTER_ID = "c" * 22
TOPIC_ID = b"flights-id-16byt"
DATA = Path("/data")
MIB = 1 << 20
SHARED = [b"shared %d" % number for number in range(5)]


class Hosted:
    """What the services ask of all partitions."""

    def __init__(self) -> None:
        self.partitions: dict[int, Partition] = {}

    def find(self, topic_id: bytes, partition: int) -> Partition:
        if topic_id != TOPIC_ID or partition not in self.partitions:
            raise UnknownTopicError("it is not here")
        return self.partitions[partition]


class Counts:
    """What a leader's service and followers say of themselves."""

    def __init__(self) -> None:
        self.streams = 0
        self.followed_bytes = 0
        self.cuts = 0
        self.corrupt_pushes = 0

    def replicated(self, size_bytes: int) -> None: ...

    def replication_streams(self, count: int) -> None:
        self.streams = count

    def followed(self, size_bytes: int) -> None:
        self.followed_bytes += size_bytes

    def cut(self) -> None:
        self.cuts += 1

    def push_was_corrupt(self) -> None:
        self.corrupt_pushes += 1


class Stack:
    """One broker. It dies and comes back; its disk stays."""

    def __init__(self, cluster: Stacks, broker_id: int) -> None:
        self.id = broker_id
        self.epoch = 0
        self.address = f"broker{broker_id}:7201"
        self.disk = SimDisk(cluster.simulation.rng(f"disk{broker_id}"))
        self.damaged: list[Partition] = []
        self.failures: list[Exception] = []
        self.counts = Counts()
        self.is_up = False
        self.is_registered = True
        self.settings: dict[str, str] = {}
        self._cluster = cluster
        self.hosted = Hosted()
        self.machine: Machine
        self.logs: LogManager
        self.following: FollowingReplicas
        self.service: ReplicateService
        self._listener: Listener

    @property
    def partition(self) -> Partition:
        return self.hosted.partitions[0]

    @property
    def log(self) -> PartitionLog:
        return self.partition.log

    async def start(self) -> None:
        self.epoch += 1
        self.hosted = Hosted()
        self.machine = self._cluster.simulation.machine(f"broker{self.id}")
        await self.machine.spawn(self._start())
        self.is_up = True

    async def stop(self) -> None:
        """As SIGTERM does."""
        self.service.close(Closing(error=Error(code=SHUTTING_DOWN, message="it stops")))
        await self.machine.spawn(self.following.stop())
        await self.machine.spawn(self.logs.stop())
        self.kill()

    def kill(self, *, power_cut: bool = False) -> None:
        self.is_up = False
        self.machine.kill()
        if power_cut:
            self.disk.power_cut()
        else:
            self.disk.kill()

    def apply(self, image: PartitionImage) -> None:
        """The image has come."""
        self.machine.process.call(self._apply, image)

    def produce(self, *values: bytes, partition: int = 0) -> Pending:
        """One batch from a producer of its own."""
        self._cluster.producers += 1
        batch = make_batch(values, producer_id=self._cluster.producers)
        pending = Pending()
        self.machine.process.call(self._append, batch, pending, partition)
        return pending

    async def frames(self, partition: int = 0) -> bytes:
        """All bytes of a log."""
        log, data = self.hosted.partitions[partition].log, b""
        offset = log.log_start_offset
        while offset < log.log_end_offset:
            piece = await self.machine.spawn(log.read(offset, max_bytes=MIB, end_offset=log.log_end_offset))
            data, offset = data + piece.data, piece.next_offset
        return data

    def _append(self, batch: RecordBatch, pending: Pending, partition: int) -> None:
        led = self.hosted.partitions[partition]
        led.append(batch, batch.records, leader_epoch=0, pending=pending)

    async def _start(self) -> None:
        machine = self.machine
        settings = {"id": str(self.id), "data_dirs": str(DATA), "min_free_bytes": "0"} | self.settings
        self.logs = LogManager(
            directories=[DATA],
            disk=self.disk,
            workers=machine.workers,
            clock=machine.clock,
            rng=machine.rng,
            settings=BrokerSettings.of(settings),
            on_directory_change=lambda directory: None,
        )
        await self.logs.start()
        self.following = FollowingReplicas(
            logs=self.logs,
            network=machine.network,
            clock=machine.clock,
            rng=machine.rng,
            hello=self._hello,
            observer=self.counts,
            on_damaged=self.damaged.append,
            on_failure=self.failures.append,
        )
        for number in range(self._cluster.partitions):
            self.hosted.partitions[number] = self._host(number)
        self.service = ReplicateService(
            partitions=cast(Partitions, self.hosted),
            clock=machine.clock,
            broker_id=self.id,
            cluster_id=lambda: CLUSTER_ID,
            window_bytes=self._cluster.window_bytes,
            observer=self.counts,
        )
        service = Service(name=REPLICATION_SERVICE, unary={}, streams={REPLICATE: self.service.handle})
        self._listener = await machine.network.serve(self.address, [service])

    def _host(self, number: int) -> Partition:
        log = self.logs.get(TOPIC_ID, number)
        settings = TopicSettings.of(self._cluster.topic)
        if log is None:
            directory_id = self.logs.directories[0].id
            log = self.logs.create(TOPIC_ID, "flights", number, directory_id, settings)
        log.settings = settings
        return Partition(
            log, logs=self.logs, clock=self.machine.clock, broker_id=self.id, replica_lag_ms=3000
        )

    def _hello(self, leader_id: int) -> FollowerHello | None:
        if not self.is_registered:
            return None
        return FollowerHello(
            broker_id=self.id, broker_epoch=self.epoch, cluster_id=CLUSTER_ID, leader_id=leader_id
        )

    def _apply(self, image: PartitionImage) -> None:
        partition = self.hosted.partitions[image.partition]
        hint = self._cluster.hint(image)
        partition.apply(image, hint, brokers=self._cluster.brokers())
        if image.leader == self.id or hint is None:
            self.following.leave(partition, hint)
        else:
            self.following.follow(partition, image.leader, hint.address)


class Stacks:
    """Brokers 1 to 3 and what an image says of them."""

    def __init__(
        self,
        simulation: Simulation,
        *,
        partitions: int = 1,
        window_bytes: int = 32 * MIB,
        topic: dict[str, str] | None = None,
    ) -> None:
        self.simulation = simulation
        self.partitions = partitions
        self.window_bytes = window_bytes
        self.topic = {"min_insync_replicas": "1", **(topic or {})}
        self.producers = 0
        self.stacks = {broker_id: Stack(self, broker_id) for broker_id in (1, 2, 3)}
        self.images: dict[int, PartitionImage] = {}
        self.client = simulation.machine("client")

    def __getitem__(self, broker_id: int) -> Stack:
        return self.stacks[broker_id]

    async def start(self, *, leader: int = 1, isr: Sequence[int] = (1, 2, 3)) -> None:
        for stack in self.stacks.values():
            await stack.start()
        for number in range(self.partitions):
            self.elect(leader, isr=isr, partition=number)

    @classmethod
    async def sharing(cls, simulation: Simulation, *, leader: int = 1) -> Stacks:
        """Started, and `SHARED` is on each of them."""
        stacks = cls(simulation)
        await stacks.start(leader=leader)
        stacks[leader].produce(*SHARED)
        await stacks.until_equal()
        return stacks

    async def restart(self, broker_id: int) -> None:
        """Another incarnation, and the image says so; what it led is led in a new epoch."""
        await self[broker_id].start()
        for image in self.images.values():
            if image.leader == broker_id:
                self.elect(broker_id, isr=image.isr, partition=image.partition)
        self.tell()

    def elect(
        self,
        leader: int,
        *,
        isr: Sequence[int] = (1, 2, 3),
        partition: int = 0,
        to: Sequence[int] = (1, 2, 3),
    ) -> None:
        """A new leader epoch, told to those brokers only."""
        before = self.images.get(partition)
        self.images[partition] = PartitionImage(
            topic_id=TOPIC_ID,
            partition=partition,
            replicas=(1, 2, 3),
            directory_ids=(bytes(16),) * 3,
            isr=tuple(isr),
            elr=(),
            leader=leader,
            leader_epoch=1 if before is None else before.leader_epoch + 1,
            partition_epoch=1 if before is None else before.partition_epoch + 1,
        )
        self.tell(to=to)

    def tell(self, *, to: Sequence[int] = (1, 2, 3)) -> None:
        """The image comes to those brokers."""
        for broker_id in to:
            if self[broker_id].is_up:
                for image in self.images.values():
                    self[broker_id].apply(image)

    def hint(self, image: PartitionImage) -> LeaderHint | None:
        if not image.leader:
            return None
        return LeaderHint(
            broker_id=image.leader,
            address=self[image.leader].address,
            leader_epoch=image.leader_epoch,
        )

    def brokers(self) -> dict[int, BrokerImage]:
        return {
            stack.id: BrokerImage(BrokerRecord(broker_id=stack.id, broker_epoch=stack.epoch), not stack.is_up)
            for stack in self.stacks.values()
        }

    async def until(self, condition: Callable[[], bool], *, within_s: float = 30.0) -> None:
        """Return when the condition holds; fail when it does not within so much virtual time."""
        clock = self.client.clock
        deadline = clock.monotonic() + within_s
        while not condition():
            assert clock.monotonic() < deadline, self.describe()
            await clock.sleep(0.001)

    async def until_equal(self, *broker_ids: int) -> None:
        """Until all replicas have what the leader has, on disk and below the watermark, byte for byte."""
        stacks = [self[broker_id] for broker_id in broker_ids or (1, 2, 3)]
        deadline = self.client.clock.monotonic() + 30.0
        while not await self._are_equal(stacks):
            assert self.client.clock.monotonic() < deadline, self.describe()
            await self.client.clock.sleep(0.01)
        assert not any(stack.failures for stack in self.stacks.values())

    async def _are_equal(self, stacks: Sequence[Stack]) -> bool:
        for number, image in self.images.items():
            logs = [stack.hosted.partitions[number].log for stack in stacks]
            leader = self[image.leader].hosted.partitions[number].log
            if not all(_has_all(log, leader) for log in logs):
                return False
            frames = [await stack.frames(number) for stack in stacks]
            if any(each != frames[0] for each in frames):
                return False
        return True

    def describe(self) -> str:
        return "; ".join(
            f"{stack.id}: {stack.log!r} flushed {stack.log.flushed_end_offset} watermark "
            f"{stack.log.high_watermark} epoch {stack.log.last_epoch}"
            for stack in self.stacks.values()
        )


def _has_all(log: PartitionLog, leader: PartitionLog) -> bool:
    return log.log_end_offset == log.flushed_end_offset == log.high_watermark == leader.log_end_offset
