"""The worlds in which contract suites run: the real machine, a simulation, and the network in memory."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from streamkeep_common.seams import Clock, Network, Workers
from streamkeep_common.seams.memory.network import MemoryNetwork
from streamkeep_common.seams.real.clock import RealClock
from streamkeep_common.seams.real.network import GrpcNetwork
from streamkeep_common.seams.real.workers import RealWorkers
from tests.sim.simulation import Simulation, run_simulation

SERVER_HOST = "127.0.0.1"
"""In all worlds, where servers of a contract suite listen."""


class World(Protocol):
    clock: Clock
    workers: Workers
    server_network: Network
    client_network: Network


Scenario = Callable[[World], Coroutine[Any, Any, None]]
RunScenario = Callable[[Scenario], None]


class _RealWorld:
    def __init__(self) -> None:
        self.clock: Clock = RealClock()
        self.workers: Workers = RealWorkers()
        self.server_network: Network = GrpcNetwork()
        self.client_network: Network = self.server_network


class _WorldInMemory:
    def __init__(self) -> None:
        self.clock: Clock = RealClock()
        self.workers: Workers = RealWorkers()
        self.server_network: Network = MemoryNetwork()
        self.client_network: Network = MemoryNetwork()


class _SimulatedWorld:
    def __init__(self, simulation: Simulation) -> None:
        server, client = simulation.machine(SERVER_HOST), simulation.machine("client")
        self.clock: Clock = server.clock
        self.workers: Workers = server.workers
        self.server_network: Network = server.network
        self.client_network: Network = client.network


def run_really(scenario: Scenario) -> None:
    """Fails also if a task or callback died unseen."""
    _run_in(_RealWorld, scenario)


def run_in_memory(scenario: Scenario) -> None:
    """As `run_really`."""
    _run_in(_WorldInMemory, scenario)


def _run_in(make_world: Callable[[], World], scenario: Scenario) -> None:
    unseen: list[dict[str, Any]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unseen.append(context))
        await scenario(make_world())
        gc.collect()

    asyncio.run(run())
    assert not unseen, unseen


def run_simulated(scenario: Scenario) -> None:
    for seed in range(5):
        run_simulation(seed, lambda simulation: scenario(_SimulatedWorld(simulation)))


async def eventually(condition: Callable[[], bool], *, within_s: float = 5.0) -> None:
    """Wait until it holds; fail if it does not in time. In a simulation the time is virtual."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.002)
