"""Brokers that replicate to each other in a simulated world, under a coordinator that a test commands."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from streamkeep_broker.broker import Broker
from streamkeep_broker.replication.partition import Partition
from streamkeep_common.image import PartitionImage
from streamkeep_common.methods import DELETE_RECORDS
from streamkeep_common.seams import Channel
from streamkeep_common.server.metrics import Metrics
from streamkeep_common.settings import BrokerSettings
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.broker_pb2 import DeletedRecords, DeleteRecordsPartition, DeleteRecordsRequest
from tests.sim.disk import SimDisk
from tests.sim.simulation import Machine, Simulation
from tests.unit.broker.clients import Fetcher, Producer, item, make_batch
from tests.unit.broker.replicated_coordinator import ReplicatedCoordinator
from tests.unit.broker.simulated import as_test

COORDINATOR = "coordinator:7101"
TOPIC = b"flights-id-16byt"
BROKERS = (1, 2, 3)

Scenario = Callable[["Cluster"], Coroutine[Any, Any, None]]

_RETRIABLE = (
    errors_pb2.NOT_LEADER,
    errors_pb2.UNKNOWN_TOPIC,
    errors_pb2.NOT_ENOUGH_REPLICAS,
    errors_pb2.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    errors_pb2.SHUTTING_DOWN,
    errors_pb2.DISK_FULL,
    errors_pb2.DISK_STALLED,
    errors_pb2.STORAGE_FAILED,
)


class Node:
    """One broker, its machine and its disks."""

    def __init__(self, cluster: Cluster, broker_id: int) -> None:
        self.cluster = cluster
        self.id = broker_id
        self.disk = SimDisk(cluster.simulation.rng(f"disk{broker_id}"))
        self.metrics = Metrics()
        self.machine: Machine
        self.broker: Broker

    async def start(self, **settings: str) -> None:
        """A new incarnation; the one before must have ended."""
        self.machine = self.cluster.simulation.machine(f"broker{self.id}")
        self.metrics = Metrics()
        self.broker = self.machine.process.call(self._make, settings)
        await self.machine.spawn(self.broker.start())

    def _make(self, settings: dict[str, str]) -> Broker:
        overrides = {
            "id": str(self.id),
            "listen": f"broker{self.id}:7201",
            "coordinators": COORDINATOR,
            "data_dirs": "/data",
            "min_free_bytes": "0",
        }
        return Broker(
            BrokerSettings.of(overrides | settings),
            clock=self.machine.clock,
            rng=self.machine.rng,
            disk=self.disk,
            network=self.machine.network,
            workers=self.machine.workers,
            metrics=self.metrics,
            on_failure=self.cluster.failures.append,
        )

    async def stop(self) -> None:
        """As SIGTERM does."""
        await self.machine.spawn(self.broker.stop())
        self.machine.kill()
        self.disk.kill()

    def kill(self) -> None:
        """kill -9, and the coordinator has noticed."""
        self.machine.kill()
        self.disk.kill()
        self.cluster.coordinator.fence(self.id)

    def cut_power(self) -> None:
        """What was not flushed is lost."""
        self.machine.kill()
        self.disk.power_cut()
        self.cluster.coordinator.fence(self.id)

    @property
    def partition(self) -> Partition:
        """Its replica of partition 0."""
        return self.broker.partitions.find(TOPIC, 0)

    def logs(self) -> list[str]:
        """The names of what lies in its log directory of the topic."""
        return [name for name in self.disk.list_directory(Path("/data")) if name.startswith("flights")]

    def metric(self, name: str) -> float:
        """One value as an operator sees it."""
        for line in self.metrics.render().decode().splitlines():
            if line.startswith(f"streamkeep_{name} "):
                return float(line.split()[1])
        raise AssertionError(f"there is no metric {name}")


class Cluster:
    """What a scenario is given. Nothing runs yet: most begin with `start`."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.client = simulation.machine("client")
        self.coordinator = ReplicatedCoordinator(simulation.machine("coordinator").network)
        self.failures: list[Exception] = []
        self.nodes = {broker_id: Node(self, broker_id) for broker_id in BROKERS}
        self.values: list[bytes] = []
        """What was acknowledged, in order."""

    async def start(
        self,
        *,
        partitions: int = 1,
        broker: dict[str, str] | None = None,
        racks: Sequence[str] = ("", "", ""),
        **topic: str,
    ) -> None:
        """A coordinator, three brokers, and the topic `flights` with three replicas."""
        await self.coordinator.start(COORDINATOR)
        for node, rack in zip(self.nodes.values(), racks, strict=True):
            await node.start(rack=rack, **(broker or {}))
        self.coordinator.create_replicated(TOPIC, "flights", BROKERS, partitions=partitions, **topic)
        await self.until(
            lambda: all(len(each.broker.partitions) == partitions for each in self.nodes.values())
        )

    @property
    def image(self) -> PartitionImage:
        """Partition 0, as the coordinator has committed it."""
        image = self.coordinator.image.partition(TOPIC, 0)
        assert image is not None
        return image

    @property
    def leader(self) -> Node:
        return self.nodes[self.image.leader]

    @property
    def followers(self) -> Sequence[Node]:
        return [self.nodes[each] for each in self.image.replicas if each != self.image.leader]

    def channel(self, node: Node) -> Channel:
        return self.client.network.dial(node.broker.address)

    async def produce(self, *values: bytes) -> float:
        """One batch, sent again and again until some leader has acknowledged it; the seconds it took."""
        began = self.client.clock.monotonic()
        batch = make_batch(values, sequence=len(self.values))
        while True:
            if self.image.leader and await self._try(item(TOPIC, batch), self.leader):
                self.values.extend(values)
                return self.client.clock.monotonic() - began
            assert self.client.clock.monotonic() < began + 60, "nobody takes it"
            await self.client.clock.sleep(0.005)

    async def _try(self, batch: Any, node: Node) -> bool:
        channel = self.channel(node)
        try:
            (result,) = await Producer(channel).produce(batch)
        except Exception:  # whatever became of the stream, the leader is asked for again
            return False
        finally:
            await channel.close()
        assert result.error.code in (errors_pb2.NONE, *_RETRIABLE), result.error.message
        return not result.error.code

    async def consume(self) -> list[bytes]:
        """All that the leader gives to readers, up to as many values as were acknowledged."""
        channel = self.channel(self.leader)
        fetcher = Fetcher(channel)
        await fetcher.start(TOPIC)
        values = await fetcher.until_values(len(self.values))
        await channel.close()
        return values

    async def delete_records(self, before_offset: int, *, timeout_ms: int = 0) -> DeletedRecords:
        """What the leader answers."""
        channel = self.channel(self.leader)
        asked = DeleteRecordsPartition(topic_id=TOPIC, before_offset=before_offset)
        request = DeleteRecordsRequest(partitions=[asked], timeout_ms=timeout_ms)
        answer = await channel.call(DELETE_RECORDS, request, timeout_s=10)
        await channel.close()
        return answer.partitions[0]

    async def in_sync(self, *broker_ids: int) -> None:
        """Return when the committed in-sync set is this one."""
        await self.until(lambda: set(self.image.isr) == set(broker_ids or BROKERS))

    async def until(self, condition: Callable[[], bool], *, within_s: float = 30.0) -> None:
        """Return when the condition holds; fail when it does not within so much virtual time."""
        deadline = self.client.clock.monotonic() + within_s
        while not condition():
            assert self.client.clock.monotonic() < deadline, "it never came about"
            await self.client.clock.sleep(0.01)


def replicated(scenario: Scenario) -> Callable[[], None]:
    """Make a test of a scenario: it runs in virtual time, from one seed."""

    async def run(simulation: Simulation) -> None:
        cluster = Cluster(simulation)
        await scenario(cluster)
        assert cluster.failures == []

    return as_test(scenario, run)
