"""A coordinator in a simulation, with brokers and clients that speak to it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from streamkeep_common.methods import CREATE_TOPICS, DESCRIBE_TOPICS, LIST_TOPICS
from streamkeep_common.server.metrics import Metrics
from streamkeep_common.settings import CoordinatorSettings
from streamkeep_coordinator.coordinator import Coordinator
from streamkeep_proto.v1.coordinator_pb2 import (
    CreateTopicsRequest,
    CreateTopicsResponse,
    DescribeTopicsRequest,
    ListTopicsRequest,
    NewTopic,
    PartitionInfo,
)
from tests.sim.disk import SimDisk
from tests.sim.simulation import Machine, Simulation, run_simulation
from tests.unit.coordinator.brokers import Broker

ADDRESS = "coordinator:7101"


class World:
    """One coordinator on a host and a disk of its own, and a client's machine."""

    def __init__(self, simulation: Simulation, **settings: str) -> None:
        texts = {"id": "1", "listen": ADDRESS, "data_dir": "/data", "initial_members": "1", **settings}
        self.settings = CoordinatorSettings.of(texts)
        self.simulation = simulation
        self.disk = SimDisk(simulation.rng("disk"))
        self.failures: list[Exception] = []
        self.client = simulation.machine("client").network.dial(ADDRESS)
        self.metrics = Metrics()

    async def start(self) -> None:
        self.machine: Machine = self.simulation.machine("coordinator")
        self.metrics = Metrics()
        self.coordinator = Coordinator(
            self.settings,
            clock=self.machine.clock,
            rng=self.machine.rng,
            disk=self.disk,
            network=self.machine.network,
            workers=self.machine.workers,
            metrics=self.metrics,
            on_failure=self.failures.append,
        )
        await self.machine.spawn(self.coordinator.start())

    async def stop(self) -> None:
        await self.machine.spawn(self.coordinator.stop())

    async def restart(self, *, power_cut: bool = False) -> None:
        """kill -9, or a power cut, and a new start."""
        self.machine.kill()
        (self.disk.power_cut if power_cut else self.disk.kill)()
        await self.start()
        self.client = self.simulation.machine("client").network.dial(ADDRESS)

    def broker(self, broker_id: int, *, incarnation: int = 1) -> Broker:
        return Broker(self.simulation.machine(f"broker-{broker_id}"), broker_id, incarnation, ADDRESS)

    async def live_brokers(self, count: int) -> list[Broker]:
        """Brokers 1 to `count`, in session and unfenced, sending heartbeats by themselves."""
        brokers = [self.broker(broker_id) for broker_id in range(1, count + 1)]
        for broker in brokers:
            await broker.join()
        return brokers

    async def create(
        self, *names: str, partitions: int = 1, replicas: int = 1, validate_only: bool = False
    ) -> CreateTopicsResponse:
        topics = [NewTopic(name=name, partitions=partitions, replication_factor=replicas) for name in names]
        request = CreateTopicsRequest(topics=topics, validate_only=validate_only)
        return await self.client.call(CREATE_TOPICS, request, timeout_s=5)

    async def topic_names(self) -> list[str]:
        response = await self.client.call(LIST_TOPICS, ListTopicsRequest(), timeout_s=5)
        return [topic.name for topic in response.topics]

    async def partition(self, topic: str, partition: int = 0) -> PartitionInfo:
        response = await self.client.call(DESCRIBE_TOPICS, DescribeTopicsRequest(names=[topic]), timeout_s=5)
        return response.topics[0].partitions[partition]


def simulate(scenario: Callable[[World], Coroutine[Any, Any, None]], seed: int = 1, **settings: str) -> None:
    """Run a scenario with a started coordinator."""

    async def run(simulation: Simulation) -> None:
        world = World(simulation, **settings)
        await world.start()
        await scenario(world)

    run_simulation(seed, run)


DATA = Path("/data")
