"""A whole simulated cluster: the real coordinator, brokers and SDK on simulated machines."""

from __future__ import annotations

import random
from pathlib import Path

from streamkeep import Client
from streamkeep_broker.broker import Broker
from streamkeep_common.server.metrics import Metrics
from streamkeep_common.settings import BrokerSettings, CoordinatorSettings
from streamkeep_coordinator.coordinator import Coordinator
from tests.sim.disk import SimDisk
from tests.sim.simulation import Machine, Simulation

BOOTSTRAP = "coordinator:7101"
DATA = "/data"


class SimHost:
    """A disk, and the incarnations of the one server that uses it."""

    def __init__(self, simulation: Simulation, name: str) -> None:
        self.name = name
        self.disk = SimDisk(simulation.rng(f"{name}/disk"))
        self.machine: Machine | None = None
        self._simulation = simulation

    def boot(self) -> Machine:
        assert self.machine is None, "it is up"
        self.machine = self._simulation.machine(self.name)
        return self.machine

    def kill(self) -> None:
        """kill -9: what was written stays in the page cache."""
        self._end()
        self.disk.kill()

    def cut_power(self) -> None:
        """What was not flushed is lost."""
        self._end()
        self.disk.power_cut()

    def _end(self) -> None:
        assert self.machine is not None, "it is down"
        self.machine.kill()
        self.machine = None


class WholeCluster:
    """One coordinator, some brokers, and a machine for clients."""

    def __init__(self, simulation: Simulation, *, brokers: int = 1) -> None:
        self.simulation = simulation
        self.fabric = simulation.fabric
        self.rng: random.Random = simulation.rng("test")
        self.coordinator = SimHost(simulation, "coordinator")
        self.brokers = {number: SimHost(simulation, f"broker-{number}") for number in range(1, brokers + 1)}
        self.failures: list[Exception] = []
        self._client_machine = simulation.machine("client")

    async def start(self) -> None:
        await self.start_coordinator()
        for number in self.brokers:
            await self.start_broker(number)

    async def start_coordinator(self) -> None:
        machine = self.coordinator.boot()
        settings = CoordinatorSettings.of({"id": "1", "listen": BOOTSTRAP, "data_dir": DATA})

        def make() -> Coordinator:
            return Coordinator(
                settings,
                clock=machine.clock,
                rng=machine.rng,
                disk=self.coordinator.disk,
                network=machine.network,
                workers=machine.workers,
                metrics=Metrics(),
                on_failure=self.failures.append,
            )

        await machine.spawn(machine.process.call(make).start())

    async def start_broker(self, number: int) -> None:
        host = self.brokers[number]
        machine = host.boot()
        settings = BrokerSettings.of(
            {
                "id": str(number),
                "listen": f"{host.name}:7201",
                "coordinators": BOOTSTRAP,
                "data_dirs": str(Path(DATA)),
                "min_free_bytes": "0",
            }
        )

        def make() -> Broker:
            return Broker(
                settings,
                clock=machine.clock,
                rng=machine.rng,
                disk=host.disk,
                network=machine.network,
                workers=machine.workers,
                metrics=Metrics(),
                on_failure=self.failures.append,
            )

        await machine.spawn(machine.process.call(make).start())

    def client(self) -> Client:
        machine = self._client_machine
        return Client(BOOTSTRAP, network=machine.network, clock=machine.clock, rng=machine.rng)

    async def sleep(self, seconds: float) -> None:
        await self._client_machine.clock.sleep(seconds)
