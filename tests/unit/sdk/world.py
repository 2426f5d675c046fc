"""A simulated world with a fake cluster in it, and a client's machine."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from streamkeep import Client
from streamkeep_common.seams.clock import Clock
from tests.sim.simulation import Machine, Simulation, run_simulation
from tests.unit.sdk.fake_cluster import FakeCluster

T = TypeVar("T")


class World:
    """`cluster` is served by the hosts "coordinator", "broker-1", "broker-2" ...; clients are on "client"."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.fabric = simulation.fabric
        self.cluster = FakeCluster()
        self.machines: dict[str, Machine] = {}
        self.rng: random.Random = simulation.rng("test")

    async def start(self, brokers: int) -> None:
        await self.cluster.serve_coordinator(self._machine("coordinator").network, "coordinator:7101")
        for number in range(1, brokers + 1):
            await self.start_broker(number)
        self._machine("client")

    async def start_broker(self, number: int) -> None:
        network = self._machine(f"broker-{number}").network
        await self.cluster.serve_broker(network, number, f"broker-{number}:7201")

    def kill_broker(self, number: int) -> None:
        self.machines[f"broker-{number}"].kill()

    def client(self, bootstrap: str = "coordinator:7101", **options: Any) -> Client:
        machine = self.machines["client"]
        return Client(bootstrap, network=machine.network, clock=machine.clock, rng=machine.rng, **options)

    @property
    def clock(self) -> Clock:
        """The clients' clock."""
        return self.machines["client"].clock

    async def sleep(self, seconds: float) -> None:
        await self.machines["client"].clock.sleep(seconds)

    async def until(self, condition: Callable[[], bool], *, within_s: float = 60.0) -> None:
        """Let time pass until the condition holds."""
        clock = self.machines["client"].clock
        deadline_s = clock.monotonic() + within_s
        while not condition():
            assert clock.monotonic() < deadline_s, "it did not come to pass"
            await clock.sleep(0.01)

    def _machine(self, name: str) -> Machine:
        machine = self.machines[name] = self.simulation.machine(name)
        return machine


def in_world(test: Callable[[World], Awaitable[T]], *, seed: int = 1, brokers: int = 1) -> T:
    """Run a test in a world of its own; equal seeds give equal runs."""

    async def live(simulation: Simulation) -> T:
        world = World(simulation)
        await world.start(brokers)
        return await test(world)

    return run_simulation(seed, live)
