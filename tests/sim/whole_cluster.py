"""A whole simulated cluster: the real coordinators, brokers and SDK on simulated machines."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

from streamkeep import Client
from streamkeep_broker.broker import Broker
from streamkeep_common.server.metrics import Metrics
from streamkeep_common.settings import BrokerSettings, CoordinatorSettings
from streamkeep_coordinator.coordinator import Coordinator
from tests.sim.disk import SimDisk
from tests.sim.simulation import Machine, Simulation

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
    """Coordinators, brokers, and a machine for clients; coordinators and brokers are numbered from 1.

    Broker 2 is in the rack "rack-2", and so on.
    """

    def __init__(
        self,
        simulation: Simulation,
        *,
        coordinators: int = 1,
        brokers: int = 1,
        broker_settings: Mapping[str, str] | None = None,
    ) -> None:
        self.simulation = simulation
        self.fabric = simulation.fabric
        self.rng: random.Random = simulation.rng("test")
        numbers = range(1, coordinators + 1)
        self.coordinators = {number: SimHost(simulation, f"coordinator-{number}") for number in numbers}
        self.brokers = {number: SimHost(simulation, f"broker-{number}") for number in range(1, brokers + 1)}
        self.failures: list[Exception] = []
        self.metrics: dict[int, Metrics] = {}
        """Of each broker's last incarnation."""
        self._broker_settings = broker_settings or {}
        self._client_machine = simulation.machine("client")

    @property
    def coordinator_addresses(self) -> list[str]:
        return [f"{host.name}:7101" for host in self.coordinators.values()]

    async def start(self) -> None:
        for number in self.coordinators:
            await self.start_coordinator(number)
        for number in self.brokers:
            await self.start_broker(number)

    async def start_coordinator(self, number: int = 1) -> None:
        host = self.coordinators[number]
        machine = host.boot()
        members = [f"{each}@coordinator-{each}:7101" for each in self.coordinators]
        settings = CoordinatorSettings.of(
            {
                "id": str(number),
                "listen": f"{host.name}:7101",
                "data_dir": DATA,
                "initial_members": ",".join(members),
            }
        )

        def make() -> Coordinator:
            return Coordinator(
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

    async def start_broker(self, number: int) -> None:
        host = self.brokers[number]
        machine = host.boot()
        settings = BrokerSettings.of(
            {
                "id": str(number),
                "listen": f"{host.name}:7201",
                "coordinators": ",".join(self.coordinator_addresses),
                "data_dirs": str(Path(DATA)),
                "min_free_bytes": "0",
                "rack": host.name.replace("broker", "rack"),
                **self._broker_settings,
            }
        )

        metrics = self.metrics[number] = Metrics()

        def make() -> Broker:
            return Broker(
                settings,
                clock=machine.clock,
                rng=machine.rng,
                disk=host.disk,
                network=machine.network,
                workers=machine.workers,
                metrics=metrics,
                on_failure=self.failures.append,
            )

        await machine.spawn(machine.process.call(make).start())

    def client(self, machine: Machine | None = None) -> Client:
        """On a machine of its own, or on the one that all others share."""
        machine = machine or self._client_machine
        addresses = self.coordinator_addresses
        return Client(addresses, network=machine.network, clock=machine.clock, rng=machine.rng)

    async def sleep(self, seconds: float) -> None:
        await self._client_machine.clock.sleep(seconds)
