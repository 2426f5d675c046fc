"""Several coordinators as a client sees them: one is active, the others say so, and any of them may be gone.

They share what they know, as if every command were replicated at once. Tests say who is active, who believes
what, and whose answers get lost.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from streamkeep import Admin, Client
from streamkeep_common.errors import (
    NotActiveError,
    NotInitializedError,
    StreamkeepError,
    TopicExistsError,
    UnknownTopicError,
    to_proto,
)
from streamkeep_common.methods import (
    ADMIN_SERVICE,
    CREATE_TOPICS,
    DELETE_TOPICS,
    DESCRIBE_QUORUM,
    GET_METADATA,
    INITIALIZE_CLUSTER,
    LIST_TOPICS,
    METADATA_SERVICE,
    QUORUM_SERVICE,
    TRANSFER_LEADERSHIP,
)
from streamkeep_common.seams import CallInfo, RpcError, Service, Status
from streamkeep_proto.v1.coordinator_pb2 import (
    CoordinatorInfo,
    CreateTopicsRequest,
    CreateTopicsResponse,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    GetMetadataRequest,
    GetMetadataResponse,
    ListTopicsRequest,
    ListTopicsResponse,
    TopicInfo,
    TopicListing,
    TopicOutcome,
)
from streamkeep_proto.v1.raft_pb2 import (
    ChangeQuorumResponse,
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    InitializeClusterRequest,
    InitializeClusterResponse,
    TransferLeadershipRequest,
)
from tests.sim.simulation import Machine, Simulation, run_simulation

R = TypeVar("R", CreateTopicsResponse, DeleteTopicsResponse)


class FakeCoordinator:
    """One of them. `believes` is whom it takes for active: an address, or "" for nobody."""

    def __init__(self, quorum: FakeQuorum, machine: Machine, address: str) -> None:
        self.address = address
        self.machine = machine
        self.believes = ""
        self.refusal: StreamkeepError | None = None
        """What it answers to every admin call instead."""
        self.stale = False
        self.cluster_id = quorum.cluster_id
        self.cluster_epoch = 1
        self.members: list[str] | None = None
        self.lose_answers = 0
        """So many changes are carried out, and the connection breaks before the answer."""
        self.delay_s = 0.0
        self.asked: Counter[str] = Counter()
        self._quorum = quorum

    async def serve(self) -> None:
        services = [
            Service(METADATA_SERVICE, {GET_METADATA: self._metadata}, {}),
            Service(
                ADMIN_SERVICE,
                {CREATE_TOPICS: self._create, DELETE_TOPICS: self._delete, LIST_TOPICS: self._list},
                {},
            ),
            Service(
                QUORUM_SERVICE,
                {
                    DESCRIBE_QUORUM: self._describe,
                    INITIALIZE_CLUSTER: self._initialize,
                    TRANSFER_LEADERSHIP: self._transfer,
                },
                {},
            ),
        ]
        await self.machine.network.serve(self.address, services)

    def hang(self) -> None:
        """SIGSTOP."""
        self.machine.process.pause()

    def wake(self) -> None:
        self.machine.process.resume()

    def kill(self) -> None:
        self.machine.kill()

    async def _metadata(self, request: GetMetadataRequest, _info: CallInfo) -> GetMetadataResponse:
        self.asked["metadata"] += 1
        if not self.cluster_id:
            raise RpcError(Status.UNAVAILABLE, "it belongs to no cluster yet")
        addresses = self.members if self.members is not None else list(self._quorum.coordinators)
        return GetMetadataResponse(
            cluster_id=self.cluster_id,
            cluster_epoch=self.cluster_epoch,
            metadata_index=self._quorum.index,
            stale=self.stale,
            coordinators=[
                CoordinatorInfo(coordinator_id=number, address=address, active=address == self.believes)
                for number, address in enumerate(addresses, 1)
            ],
            topics=[self._topic(name) for name in request.names],
        )

    def _topic(self, name: str) -> TopicInfo:
        if name not in self._quorum.topics:
            return TopicInfo(name=name, error=to_proto(UnknownTopicError()))
        return TopicInfo(name=name, topic_id=self._quorum.topics[name])

    async def _create(self, request: CreateTopicsRequest, _info: CallInfo) -> CreateTopicsResponse:
        self.asked["create"] += 1
        return await self._change(
            CreateTopicsResponse,
            lambda: [self._create_one(topic.name, topic.topic_id) for topic in request.topics],
        )

    def _create_one(self, name: str, topic_id: bytes) -> TopicOutcome:
        if self._quorum.topics.setdefault(name, topic_id) != topic_id:
            return TopicOutcome(name=name, error=to_proto(TopicExistsError(f"there is a topic '{name}'")))
        return TopicOutcome(name=name, topic_id=topic_id)

    async def _delete(self, request: DeleteTopicsRequest, _info: CallInfo) -> DeleteTopicsResponse:
        self.asked["delete"] += 1
        return await self._change(
            DeleteTopicsResponse, lambda: [self._delete_one(name) for name in request.names]
        )

    def _delete_one(self, name: str) -> TopicOutcome:
        if self._quorum.topics.pop(name, None) is None:
            return TopicOutcome(name=name, error=to_proto(UnknownTopicError()))
        return TopicOutcome(name=name)

    async def _list(self, _request: ListTopicsRequest, _info: CallInfo) -> ListTopicsResponse:
        self.asked["list"] += 1
        if self.refusal is not None:
            return ListTopicsResponse(error=to_proto(self.refusal))
        return ListTopicsResponse(topics=[TopicListing(name=name) for name in sorted(self._quorum.topics)])

    async def _change(self, response: Callable[..., R], carry_out: Callable[[], list[TopicOutcome]]) -> R:
        if (error := self._objection()) is not None:
            return response(error=to_proto(error))
        outcomes = carry_out()
        self._quorum.index += 1
        await self.machine.clock.sleep(self.delay_s)
        if self.lose_answers:
            self.lose_answers -= 1
            self._quorum.simulation.fabric.break_connections("client", self.machine.process.name)
            await asyncio.sleep(10)
        return response(outcomes=outcomes)

    def _objection(self) -> StreamkeepError | None:
        if self.refusal is None and self._quorum.active is not self:
            return NotActiveError("another one is active", active_address=self.believes)
        return self.refusal

    async def _describe(self, _request: DescribeQuorumRequest, _info: CallInfo) -> DescribeQuorumResponse:
        self.asked["describe"] += 1
        response = DescribeQuorumResponse(cluster_id=self.cluster_id, term=7, stale=not self.believes)
        if not self.cluster_id:
            response.error.CopyFrom(to_proto(NotInitializedError()))
        elif self.believes and self._quorum.active is not self:
            response.error.CopyFrom(to_proto(NotActiveError(active_address=self.believes)))
        return response

    async def _initialize(
        self, request: InitializeClusterRequest, _info: CallInfo
    ) -> InitializeClusterResponse:
        self.asked["initialize"] += 1
        self._quorum.initialized_with = [(each.coordinator_id, each.address) for each in request.members]
        return InitializeClusterResponse(cluster_id="made")

    async def _transfer(self, request: TransferLeadershipRequest, _info: CallInfo) -> ChangeQuorumResponse:
        self.asked["transfer"] += 1
        error = self._objection()
        return ChangeQuorumResponse(
            active_id=request.coordinator_id, error=None if error is None else to_proto(error)
        )


class FakeQuorum:
    """The hosts "one", "two", "three", and a client's machine."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.cluster_id = "ours"
        self.index = 1
        self.topics: dict[str, bytes] = {}
        self.active: FakeCoordinator | None = None
        self.coordinators: dict[str, FakeCoordinator] = {}
        self.initialized_with: list[tuple[int, str]] = []
        self.client_machine = simulation.machine("client")
        self.clock = self.client_machine.clock
        self._rng = simulation.rng("test")

    async def start(self) -> None:
        for name in ("one", "two", "three"):
            await self.add(name)
        self.elect("one")

    async def add(self, name: str) -> FakeCoordinator:
        address = f"{name}:7101"
        coordinator = FakeCoordinator(self, self.simulation.machine(name), address)
        self.coordinators[address] = coordinator
        await coordinator.serve()
        return coordinator

    def __getitem__(self, name: str) -> FakeCoordinator:
        return self.coordinators[f"{name}:7101"]

    def elect(self, name: str) -> None:
        """It is active from now on, and all who are awake know it."""
        self.active = self[name]
        for coordinator in self.coordinators.values():
            if not coordinator.machine.process.paused:
                coordinator.believes = self.active.address

    def elect_after(self, seconds: float, name: str) -> None:
        """Until then the old one, whoever it is, decides nothing."""
        self.active = None
        asyncio.get_running_loop().call_later(seconds, self.elect, name)

    def admin(self, *bootstrap: str, **options: Any) -> Admin:
        return Admin(self.client(*bootstrap, **options), **options)

    def client(self, *bootstrap: str, **options: Any) -> Client:
        machine = self.client_machine
        names = bootstrap or tuple(self.coordinators)
        return Client(names, network=machine.network, clock=machine.clock, rng=machine.rng, **options)

    async def seconds(self, work: Awaitable[Any]) -> float:
        """How long it takes."""
        began_s = self.clock.monotonic()
        await work
        return self.clock.monotonic() - began_s


def with_quorum(story: Callable[[FakeQuorum], Awaitable[None]]) -> Callable[[], None]:
    """Make a test of a story: it runs in virtual time, from one seed."""

    async def live(simulation: Simulation) -> None:
        quorum = FakeQuorum(simulation)
        await quorum.start()
        await story(quorum)

    def test() -> None:
        run_simulation(1, live)

    return test
