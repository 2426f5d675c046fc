"""Several coordinators in a simulation, each on a host and a disk of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

from streamkeep_common.image import ClusterImage
from streamkeep_common.methods import (
    ADD_COORDINATOR,
    CREATE_TOPICS,
    DESCRIBE_QUORUM,
    LIST_TOPICS,
    REMOVE_COORDINATOR,
    TRANSFER_LEADERSHIP,
)
from streamkeep_common.seams import RpcError, UnaryMethod
from streamkeep_common.server.metrics import Metrics
from streamkeep_common.settings import CoordinatorSettings
from streamkeep_coordinator.coordinator import Coordinator
from streamkeep_coordinator.metadata import Decision
from streamkeep_proto.v1.coordinator_pb2 import (
    CreateTopicsRequest,
    CreateTopicsResponse,
    ListTopicsRequest,
    ListTopicsResponse,
    NewTopic,
)
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord, NoOpRecord
from streamkeep_proto.v1.raft_pb2 import (
    MEMBER_ACTIVE,
    MEMBER_FOLLOWING,
    AddCoordinatorRequest,
    ChangeQuorumResponse,
    CoordinatorAddress,
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    RemoveCoordinatorRequest,
    TransferLeadershipRequest,
)
from tests.sim.disk import SimDisk
from tests.sim.simulation import Machine, Simulation, run_simulation

PORT = 7101


def host(coordinator_id: int) -> str:
    return f"coordinator-{coordinator_id}"


def address(coordinator_id: int) -> str:
    return f"{host(coordinator_id)}:{PORT}"


class Node:
    """One coordinator, which may be killed and started again."""

    def __init__(self, simulation: Simulation, coordinator_id: int, settings: dict[str, str]) -> None:
        texts = {
            "id": str(coordinator_id),
            "listen": address(coordinator_id),
            "data_dir": "/data",
            **settings,
        }
        self.id = coordinator_id
        self.settings = CoordinatorSettings.of(texts)
        self.simulation = simulation
        self.disk = SimDisk(simulation.rng(f"disk-{coordinator_id}"))
        self.disks = 1
        self.failures: list[Exception] = []
        self.is_running = False

    async def start(self) -> None:
        self.machine: Machine = self.simulation.machine(host(self.id))
        self.coordinator = Coordinator(
            self.settings,
            clock=self.machine.clock,
            rng=self.machine.rng,
            disk=self.disk,
            network=self.machine.network,
            workers=self.machine.workers,
            metrics=Metrics(),
            on_failure=self.failures.append,
        )
        await self.machine.spawn(self.coordinator.start())
        self.is_running = True

    async def stop(self) -> None:
        self.is_running = False
        await self.machine.spawn(self.coordinator.stop())

    def kill(self, *, power_cut: bool = False) -> None:
        self.is_running = False
        self.machine.kill()
        (self.disk.power_cut if power_cut else self.disk.kill)()

    def empty(self) -> None:
        """Another disk is in its place."""
        self.disks += 1
        self.disk = SimDisk(self.simulation.rng(f"disk-{self.id}-{self.disks}"))

    def move(self, port: int) -> None:
        """From the next start on it listens elsewhere, and says so."""
        there = f"{host(self.id)}:{port}"
        self.settings = replace(self.settings, listen=there, advertised=there)

    def change(self) -> asyncio.Task[object]:
        """A command, executed here, that changes nothing but the log."""

        def decide(_: ClusterImage) -> Decision[None]:
            return Decision((MetadataRecord(no_op=NoOpRecord()),), None)

        task: asyncio.Task[object] = self.machine.spawn(self.shell.steward._execute(decide))
        return task

    @property
    def shell(self) -> Any:
        return self.coordinator._quorum


class Quorum:
    """Coordinators 1 to `count`, named to each other by `initial_members`, and a client's machine."""

    def __init__(self, simulation: Simulation, count: int, **settings: str) -> None:
        members = ",".join(f"{number}@{address(number)}" for number in range(1, count + 1))
        self.simulation = simulation
        self.settings = {"initial_members": members, **settings}
        self.nodes = {number: Node(simulation, number, self.settings) for number in range(1, count + 1)}
        self.client = simulation.machine("client")

    async def start(self) -> None:
        for node in self.nodes.values():
            await node.start()

    def new_node(self, coordinator_id: int, **settings: str) -> Node:
        node = self.nodes[coordinator_id] = Node(self.simulation, coordinator_id, settings)
        return node

    async def ask(self, coordinator_id: int, method: UnaryMethod[Any, Any], request: Any) -> Any:
        channel = self.client.network.dial(address(coordinator_id))
        try:
            return await channel.call(method, request, timeout_s=5)
        finally:
            await channel.close()

    async def until(self, condition: Callable[[], Awaitable[bool]], timeout_s: float = 20.0) -> None:
        """Wait for it, in virtual time."""
        ends_at = self.simulation.loop.time() + timeout_s
        while not await condition():
            assert self.simulation.loop.time() < ends_at, "it never came true"
            await self.client.clock.sleep(0.02)

    async def active(self, *, besides: int = 0) -> int:
        """Id of the active coordinator, once there is one, other than `besides`."""
        found: list[int] = []

        async def is_found() -> bool:
            found[:] = [
                node.id
                for node in self.nodes.values()
                if node.is_running and node.shell.driver.is_active and node.id != besides
            ]
            return bool(found)

        await self.until(is_found)
        return found[0]

    async def view(self, coordinator_id: int = 0) -> DescribeQuorumResponse:
        """The quorum as the active coordinator (or that one) sees it."""
        response: DescribeQuorumResponse = await self.ask(
            coordinator_id or await self.active(), DESCRIBE_QUORUM, DescribeQuorumRequest()
        )
        return response

    async def until_voters(self, *coordinator_ids: int) -> DescribeQuorumResponse:
        """Wait until just these vote; how it is then."""

        async def is_so() -> bool:
            view = await self.view()
            return [each.coordinator_id for each in view.members if each.voter] == list(coordinator_ids)

        await self.until(is_so)
        return await self.view()

    async def create(self, name: str, *, at: int = 0) -> CreateTopicsResponse:
        request = CreateTopicsRequest(topics=[NewTopic(name=name, partitions=1)])
        response: CreateTopicsResponse = await self.ask(at or await self.active(), CREATE_TOPICS, request)
        return response

    async def until_all_follow(self) -> None:
        """Wait until every voter has the whole log of whoever is active."""

        async def is_so() -> bool:
            states = [each.state for each in (await self.view()).members]
            return sorted(states) == [MEMBER_ACTIVE] + [MEMBER_FOLLOWING] * (len(states) - 1)

        await self.until(is_so)

    async def list_topics(self, *, at: int) -> ListTopicsResponse:
        response: ListTopicsResponse = await self.ask(at, LIST_TOPICS, ListTopicsRequest())
        return response

    async def add(self, coordinator_id: int) -> ChangeQuorumResponse:
        request = AddCoordinatorRequest(
            coordinator=CoordinatorAddress(coordinator_id=coordinator_id, address=address(coordinator_id))
        )
        response: ChangeQuorumResponse = await self.ask(await self.active(), ADD_COORDINATOR, request)
        return response

    async def remove(self, coordinator_id: int) -> ChangeQuorumResponse:
        request = RemoveCoordinatorRequest(coordinator_id=coordinator_id)
        response: ChangeQuorumResponse = await self.ask(await self.active(), REMOVE_COORDINATOR, request)
        return response

    async def transfer(self, coordinator_id: int) -> ChangeQuorumResponse:
        request = TransferLeadershipRequest(coordinator_id=coordinator_id)
        response: ChangeQuorumResponse = await self.ask(await self.active(), TRANSFER_LEADERSHIP, request)
        return response


def simulate(
    scenario: Callable[[Quorum], Coroutine[Any, Any, None]], count: int = 3, seed: int = 1, **settings: str
) -> None:
    """Run a scenario with started coordinators."""

    async def run(simulation: Simulation) -> None:
        quorum = Quorum(simulation, count, **settings)
        await quorum.start()
        await scenario(quorum)
        assert not [node.failures for node in quorum.nodes.values() if node.failures]

    run_simulation(seed, run)


__all__ = ["Node", "Quorum", "RpcError", "address", "host", "simulate"]
