"""A broker in a simulated world: its disk, the coordinator it registers with, and a client's machine."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from streamkeep_broker.broker import Broker
from streamkeep_common.seams import Channel
from streamkeep_common.server.metrics import Metrics
from streamkeep_common.settings import BrokerSettings
from tests.sim.disk import SimDisk
from tests.sim.simulation import Machine, Simulation
from tests.unit.broker.clients import Fetcher, Producer
from tests.unit.broker.coordinator import FakeCoordinator
from tests.unit.broker.simulated import as_test

COORDINATOR = "coordinator:7101"
DATA = Path("/data")
TOPIC = b"flights-id-16byt"
assert len(TOPIC) == 16
OTHER_TOPIC = b"nobody-knows-it!"
"""No topic of it exists until a test creates it."""

Scenario = Callable[["World"], Coroutine[Any, Any, None]]


class World:
    """What a scenario is given. Nothing runs yet: most begin with `start`."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.client = simulation.machine("client")
        self.coordinator = FakeCoordinator(simulation.machine("coordinator").network)
        self.disk = SimDisk(simulation.rng("disk"))
        self.failures: list[Exception] = []
        self.machine: Machine
        self.broker: Broker

    async def start(self, *, partitions: int = 1, broker: dict[str, str] | None = None, **topic: str) -> None:
        """A coordinator, a broker, and the topic `flights` on it."""
        await self.coordinator.start(COORDINATOR)
        await self.start_broker(**(broker or {}))
        self.create_topic(TOPIC, "flights", partitions=partitions, **topic)
        await self.hosted(partitions)

    def create_topic(self, topic_id: bytes, name: str, *, partitions: int = 1, **settings: str) -> None:
        registration = self.coordinator.registrations[-1]
        self.coordinator.create_topic(topic_id, name, broker=registration, partitions=partitions, **settings)

    async def start_broker(self, broker_id: int = 1, **settings: str) -> Broker:
        """A new incarnation of the broker on the same disk; the one before must have ended."""
        self.machine = self.simulation.machine(f"broker{broker_id}")
        self.broker = self.machine.process.call(self.make_broker, self.machine, broker_id, settings)
        starting = self.machine.spawn(self.broker.start())
        await self.until(lambda: starting.done() or bool(self.failures), within_s=300)
        if not starting.done():
            starting.cancel()
            raise self.failures[-1]
        await starting
        return self.broker

    def make_broker(self, machine: Machine, broker_id: int, settings: dict[str, str]) -> Broker:
        overrides = {
            "id": str(broker_id),
            "listen": f"broker{broker_id}:7201",
            "coordinators": COORDINATOR,
            "data_dirs": str(DATA),
            "min_free_bytes": "0",
        }
        return Broker(
            BrokerSettings.of(overrides | settings),
            clock=machine.clock,
            rng=machine.rng,
            disk=self.disk,
            network=machine.network,
            workers=machine.workers,
            metrics=Metrics(),
            on_failure=self.failures.append,
        )

    async def stop_broker(self) -> None:
        """As SIGTERM does."""
        await self.machine.spawn(self.broker.stop())
        self.machine.kill()
        self.disk.kill()

    def kill_broker(self) -> None:
        """kill -9: what was written stays in the page cache."""
        self.machine.kill()
        self.disk.kill()

    def cut_power(self) -> None:
        """What was not flushed is lost."""
        self.machine.kill()
        self.disk.power_cut()

    async def hosted(self, count: int) -> None:
        """Return when the broker leads so many partitions."""
        await self.until(lambda: sum(partition.leads for partition in self.broker.partitions) == count)

    async def until(self, condition: Callable[[], bool], *, within_s: float = 30.0) -> None:
        """Return when the condition holds; fail when it does not within so much virtual time."""
        deadline = self.client.clock.monotonic() + within_s
        while not condition():
            assert self.client.clock.monotonic() < deadline, "it never came about"
            await self.client.clock.sleep(0.01)

    def channel(self) -> Channel:
        return self.client.network.dial(self.broker.address)

    def producer(self) -> Producer:
        return Producer(self.channel())

    def fetcher(self) -> Fetcher:
        return Fetcher(self.channel())


def simulated(scenario: Scenario) -> Callable[[], None]:
    """Make a test of a scenario: it runs in virtual time, from one seed."""
    return as_test(scenario, lambda simulation: scenario(World(simulation)))
