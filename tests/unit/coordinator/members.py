"""Several coordinators in a simulation: what stands above agreement, on a quorum as the test wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from streamkeep_common.image import MAX_FEATURE_LEVEL, ClusterImage
from streamkeep_common.seams import Channel
from streamkeep_coordinator.active_duty import ActiveDuty
from streamkeep_coordinator.controller import Controller
from streamkeep_coordinator.images import Images
from streamkeep_coordinator.metadata.create import TopicDefaults
from streamkeep_coordinator.services.admin import AdminService
from streamkeep_coordinator.services.describe import Describer
from streamkeep_coordinator.services.metadata import MetadataService
from streamkeep_coordinator.services.session import SessionService
from streamkeep_coordinator.sessions import SessionTimes
from streamkeep_coordinator.state_machine import MetadataMachine
from streamkeep_proto.v1.metadata_pb2 import (
    ClusterRecord,
    FeatureLevelRecord,
    MetadataRecord,
    QuorumMember,
    QuorumRecord,
)
from tests.sim.simulation import Machine, Simulation, run_simulation
from tests.unit.coordinator.agreement import FakeQuorum
from tests.unit.coordinator.brokers import Broker

CLUSTER_ID = "c" * 22


class Coordinator:
    """One coordinator, without a log of its own."""

    def __init__(self, simulation: Simulation, quorum: FakeQuorum, coordinator_id: int) -> None:
        self.machine: Machine = simulation.machine(f"coordinator-{coordinator_id}")
        self.address = f"coordinator-{coordinator_id}:7101"
        self.consensus = quorum.join(coordinator_id, self.address, self.machine.process)
        self.images = Images(ClusterImage(), 0)
        self.failures: list[Exception] = []
        clock = self.machine.clock
        self.controller = Controller(self.images, self.consensus, clock, on_latency=lambda _: None)
        self.duty = ActiveDuty(
            self.controller,
            self.consensus,
            clock,
            SessionTimes(),
            balance_s=30.0,
            on_failure=self.failures.append,
        )
        self.consensus.machine = MetadataMachine(
            self.images,
            self.controller,
            self.duty,
            on_commit=lambda _entry, _size: None,
            on_activate=lambda: None,
            on_elected=lambda _kind: None,
        )
        describer = Describer(self.consensus, coordinator_id, lambda: self.address)
        self._services = [
            MetadataService(self.images, self.controller, self.consensus, describer).service(),
            AdminService(
                self.controller, self.consensus, describer, self.machine.rng, TopicDefaults()
            ).service(),
            SessionService(
                self.controller,
                self.consensus,
                self.duty,
                clock,
                session_timeout_ms=3000,
                heartbeat_interval_ms=500,
            ).service(),
        ]
        self.client: Channel = simulation.machine(f"client-{coordinator_id}").network.dial(self.address)

    async def serve(self) -> None:
        await self.machine.spawn(self.machine.network.serve(self.address, self._services))


class Members:
    """Coordinators 1 to `count` of one cluster; the first is active."""

    def __init__(self, simulation: Simulation, count: int = 3) -> None:
        self.simulation = simulation
        self.quorum = FakeQuorum()
        ids = range(1, count + 1)
        self.coordinators = {each: Coordinator(simulation, self.quorum, each) for each in ids}

    def __getitem__(self, coordinator_id: int) -> Coordinator:
        return self.coordinators[coordinator_id]

    async def start(self) -> None:
        for coordinator in self.coordinators.values():
            await coordinator.serve()
        members = [
            QuorumMember(
                coordinator_id=each,
                directory_id=bytes([each]) * 16,
                address=coordinator.address,
                voter=True,
                min_feature_level=1,
                max_feature_level=MAX_FEATURE_LEVEL,
            )
            for each, coordinator in self.coordinators.items()
        ]
        self.quorum.elect(
            1,
            MetadataRecord(cluster=ClusterRecord(cluster_id=CLUSTER_ID)),
            MetadataRecord(feature_level=FeatureLevelRecord(level=MAX_FEATURE_LEVEL)),
            MetadataRecord(quorum=QuorumRecord(cluster_epoch=1, members=members)),
        )

    def pause(self, coordinator_id: int) -> None:
        """SIGSTOP: it hears nothing and does nothing, and its connections stay open."""
        self.quorum.cut(coordinator_id)
        self[coordinator_id].machine.process.pause()

    def resume(self, coordinator_id: int) -> None:
        """SIGCONT: it goes on as it was, and has not heard of the others yet."""
        self[coordinator_id].machine.process.resume()

    async def live_brokers(self, count: int, at: int = 1) -> list[Broker]:
        """Brokers in session with coordinator `at`, sending heartbeats."""
        brokers = [self.broker(each, at) for each in range(1, count + 1)]
        for broker in brokers:
            await broker.join()
        return brokers

    def broker(self, broker_id: int, at: int = 1, *, incarnation: int = 1) -> Broker:
        return Broker(
            self.simulation.machine(f"broker-{broker_id}"), broker_id, incarnation, self[at].address
        )

    def fenced(self, at: int = 1) -> list[int]:
        """Brokers that are fenced, as coordinator `at` knows."""
        return [each.broker_id for each in self[at].images.committed.brokers.values() if each.fenced]


def simulate_members(
    scenario: Callable[[Members], Coroutine[Any, Any, None]], seed: int = 1, *, count: int = 3
) -> None:
    """Run a scenario with coordinators of which the first is active."""

    async def run(simulation: Simulation) -> None:
        members = Members(simulation, count)
        await members.start()
        await scenario(members)
        failures = [each.failures for each in members.coordinators.values()]
        assert not any(failures), failures

    run_simulation(seed, run)


async def until(condition: Callable[[], bool], within_s: float = 5.0) -> float:
    """Wait for a condition; the virtual seconds that it took. TimeoutError if it does not come true."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)
    return loop.time() - started
