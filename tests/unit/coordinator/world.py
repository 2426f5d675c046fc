"""A coordinator in a simulation, with brokers and clients that speak to it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from streamkeep_common.image import MAX_FEATURE_LEVEL
from streamkeep_common.methods import CREATE_TOPICS, DESCRIBE_TOPICS, LIST_TOPICS, SESSION
from streamkeep_common.seams import RpcError
from streamkeep_common.server.metrics import Metrics
from streamkeep_common.settings import CoordinatorSettings
from streamkeep_coordinator.coordinator import Coordinator
from streamkeep_proto.v1.coordinator_pb2 import (
    BrokerHeartbeat,
    BrokerRegistered,
    BrokerStatus,
    CreateTopicsRequest,
    CreateTopicsResponse,
    DescribeTopicsRequest,
    ListTopicsRequest,
    NewTopic,
    PartitionInfo,
    RegisterBroker,
    SessionRequest,
    SessionResponse,
)
from tests.sim.disk import SimDisk
from tests.sim.simulation import Machine, Simulation, run_simulation

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
        return Broker(self.simulation.machine(f"broker-{broker_id}"), broker_id, incarnation)

    async def live_brokers(self, count: int) -> list[Broker]:
        """Brokers 1 to `count`, in session and unfenced, sending heartbeats by themselves."""
        brokers = [self.broker(broker_id) for broker_id in range(1, count + 1)]
        for broker in brokers:
            await broker.join()
        return brokers

    async def create(
        self, *names: str, partitions: int = 1, validate_only: bool = False
    ) -> CreateTopicsResponse:
        topics = [NewTopic(name=name, partitions=partitions) for name in names]
        request = CreateTopicsRequest(topics=topics, validate_only=validate_only)
        return await self.client.call(CREATE_TOPICS, request, timeout_s=5)

    async def topic_names(self) -> list[str]:
        response = await self.client.call(LIST_TOPICS, ListTopicsRequest(), timeout_s=5)
        return [topic.name for topic in response.topics]

    async def partition(self, topic: str, partition: int = 0) -> PartitionInfo:
        response = await self.client.call(DESCRIBE_TOPICS, DescribeTopicsRequest(names=[topic]), timeout_s=5)
        return response.topics[0].partitions[partition]


class Broker:
    """The coordinator's side of a broker: registers, sends heartbeats, notes what it is told."""

    def __init__(self, machine: Machine, broker_id: int, incarnation: int, address: str = ADDRESS) -> None:
        self.machine = machine
        self.address = address
        self.register = RegisterBroker(
            broker_id=broker_id,
            incarnation_id=bytes([incarnation]) * 16,
            address=f"broker-{broker_id}:7201",
            directory_ids=[bytes([broker_id]) * 16],
            min_feature_level=1,
            max_feature_level=MAX_FEATURE_LEVEL,
        )
        self.heartbeat = BrokerHeartbeat()
        self.status: BrokerStatus | None = None

    async def open(self) -> BrokerRegistered:
        """Register; AssertionError with the answer if that was refused."""
        self.stream = self.machine.network.dial(self.address).open(SESSION)
        await self.stream.send(SessionRequest(register=self.register))
        response = await self.stream.receive()
        assert response is not None
        assert response.HasField("registered"), response
        self.registered = response.registered
        return response.registered

    async def beat(self) -> SessionResponse:
        """One heartbeat and the answer."""
        await self.stream.send(SessionRequest(heartbeat=self.heartbeat))
        response = await self.stream.receive()
        assert response is not None
        self.status = response.status
        return response

    async def join(self) -> None:
        """Register, catch up, and go on sending heartbeats."""
        registered = await self.open()
        self.heartbeat.metadata_index = registered.metadata_index
        while (await self.beat()).status.fenced:
            pass
        self.beating = self.machine.spawn(self._keep_beating())

    async def _keep_beating(self) -> None:
        try:
            while not (await self.beat()).HasField("error"):
                await self.machine.clock.sleep(0.3)
        except RpcError:
            return

    def kill(self) -> None:
        self.machine.kill()


def simulate(scenario: Callable[[World], Coroutine[Any, Any, None]], seed: int = 1, **settings: str) -> None:
    """Run a scenario with a started coordinator."""

    async def run(simulation: Simulation) -> None:
        world = World(simulation, **settings)
        await world.start()
        await scenario(world)

    run_simulation(seed, run)


DATA = Path("/data")
