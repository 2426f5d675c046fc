"""Replicas compared through brokers that answer as told, and plans sent to a coordinator that keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from streamkeep import Admin, Client, TopicPartition
from streamkeep.admin.replicas import ROUNDS, Digest
from streamkeep_common.errors import (
    CorruptLogError,
    OffsetOutOfRangeError,
    ReplicaNotAvailableError,
    StreamkeepError,
    UnavailableError,
    UnknownTopicError,
    to_proto,
)
from streamkeep_common.limits import MAX_MOVES_PER_REQUEST
from streamkeep_common.methods import (
    ADMIN_SERVICE,
    BROKER_SERVICE,
    DESCRIBE_CLUSTER,
    DESCRIBE_LOG_DIRS,
    DESCRIBE_TOPICS,
    ELECT_LEADERS,
    GET_METADATA,
    HASH_REPLICAS,
    METADATA_SERVICE,
    REASSIGN_PARTITIONS,
    REPLICATION_SERVICE,
)
from streamkeep_common.seams import CallInfo, Service
from streamkeep_proto.v1.broker_pb2 import (
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    LogDir,
    LogDirReplica,
)
from streamkeep_proto.v1.coordinator_pb2 import (
    BrokerInfo,
    CoordinatorInfo,
    DescribeClusterRequest,
    DescribeClusterResponse,
    DescribeTopicsRequest,
    DescribeTopicsResponse,
    ElectionOutcome,
    ElectLeadersRequest,
    ElectLeadersResponse,
    GetMetadataRequest,
    GetMetadataResponse,
    PartitionInfo,
    ReassignmentOutcome,
    ReassignPartitionsRequest,
    ReassignPartitionsResponse,
    TopicInfo,
)
from streamkeep_proto.v1.replication_pb2 import HashReplicasRequest, HashReplicasResponse, ReplicaHash
from tests.sim.simulation import Machine, Simulation, run_simulation

COORDINATOR = "coordinator:7101"
TOPIC_ID = b"t" * 16
T0 = TopicPartition("t", 0)


@dataclass
class Replica:
    """One byte a record. `error` is what the next question for a hash is answered with."""

    content: bytes = b"abcdefgh"
    log_start: int = 0
    high_watermark: int = 8
    error: StreamkeepError | None = None
    heals: bool = True

    def hash(self, from_offset: int, to_offset: int) -> ReplicaHash:
        error = self.error
        if error is not None:
            self.error = None if self.heals else error
            return ReplicaHash(error=to_proto(error))
        content = self.content[from_offset:to_offset]
        return ReplicaHash(
            from_offset=from_offset,
            to_offset=to_offset,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).digest(),
        )


class Mended(Replica):
    """Holds what it should from the second question on."""

    def hash(self, from_offset: int, to_offset: int) -> ReplicaHash:
        answer = super().hash(from_offset, to_offset)
        self.content = Replica.content
        return answer


class World:
    """Brokers 1 to 3 have t-0, which broker 1 leads."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.replicas = {number: Replica() for number in (1, 2, 3)}
        self.machines: dict[int, Machine] = {}
        self.in_sync = [1, 2, 3]
        self.plans: list[ReassignPartitionsRequest] = []
        self.elections: list[ElectLeadersRequest] = []
        self.hashed = 0
        machine = simulation.machine("client")
        self.admin = Admin(Client(COORDINATOR, network=machine.network, clock=machine.clock, rng=machine.rng))

    async def start(self) -> None:
        services = [
            Service(METADATA_SERVICE, {GET_METADATA: self._metadata}, {}),
            Service(
                ADMIN_SERVICE,
                {
                    DESCRIBE_TOPICS: self._topics,
                    DESCRIBE_CLUSTER: self._cluster,
                    REASSIGN_PARTITIONS: self._reassign,
                    ELECT_LEADERS: self._elect,
                },
                {},
            ),
        ]
        await self.simulation.machine("coordinator").network.serve(COORDINATOR, services)
        for number in self.replicas:
            await self._serve_broker(number)

    async def _serve_broker(self, number: int) -> None:
        async def log_dirs(_request: DescribeLogDirsRequest, _info: CallInfo) -> DescribeLogDirsResponse:
            replica = self.replicas[number]
            held = LogDirReplica(
                topic="t",
                topic_id=TOPIC_ID,
                size_bytes=len(replica.content),
                log_start_offset=replica.log_start,
                high_watermark=replica.high_watermark,
            )
            return DescribeLogDirsResponse(dirs=[LogDir(path="/data", replicas=[held])])

        async def hashes(request: HashReplicasRequest, _info: CallInfo) -> HashReplicasResponse:
            self.hashed += 1
            (asked,) = request.replicas
            replica = self.replicas[number].hash(asked.from_offset, asked.to_offset)
            return HashReplicasResponse(replicas=[replica])

        machine = self.machines[number] = self.simulation.machine(f"broker-{number}")
        services = [
            Service(BROKER_SERVICE, {DESCRIBE_LOG_DIRS: log_dirs}, {}),
            Service(REPLICATION_SERVICE, {HASH_REPLICAS: hashes}, {}),
        ]
        await machine.network.serve(f"broker-{number}:7201", services)

    async def _metadata(self, _request: GetMetadataRequest, _info: CallInfo) -> GetMetadataResponse:
        coordinator = CoordinatorInfo(coordinator_id=1, address=COORDINATOR, active=True)
        return GetMetadataResponse(cluster_id="c", metadata_index=1, coordinators=[coordinator])

    async def _cluster(self, _request: DescribeClusterRequest, _info: CallInfo) -> DescribeClusterResponse:
        brokers = [BrokerInfo(broker_id=each, address=f"broker-{each}:7201") for each in self.replicas]
        return DescribeClusterResponse(cluster_id="c", brokers=brokers)

    async def _topics(self, request: DescribeTopicsRequest, _info: CallInfo) -> DescribeTopicsResponse:
        partition = PartitionInfo(
            leader=1, replicas=[1, 2, 3], isr=self.in_sync, adding_replicas=[3], removing_replicas=[2]
        )
        topics = [
            TopicInfo(name=name, topic_id=TOPIC_ID, partitions=[partition])
            if name == "t"
            else TopicInfo(name=name, error=to_proto(UnknownTopicError()))
            for name in request.names or ["t"]
        ]
        return DescribeTopicsResponse(topics=topics)

    async def _reassign(
        self, request: ReassignPartitionsRequest, _info: CallInfo
    ) -> ReassignPartitionsResponse:
        self.plans.append(request)
        named = [*request.explicit.partitions, *request.cancel.partitions]
        outcomes = [ReassignmentOutcome(topic=each.topic) for each in named]
        return ReassignPartitionsResponse(outcomes=outcomes)

    async def _elect(self, request: ElectLeadersRequest, _info: CallInfo) -> ElectLeadersResponse:
        self.elections.append(request)
        outcomes = [ElectionOutcome(topic=each.topic) for each in request.partitions]
        return ElectLeadersResponse(outcomes=outcomes)


def in_world(story: Callable[[World], Awaitable[None]]) -> None:
    async def live(simulation: Simulation) -> None:
        world = World(simulation)
        await world.start()
        await story(world)

    run_simulation(1, live)


def test_equal_replicas_are_identical_from_the_greatest_start_to_the_least_watermark() -> None:
    async def story(world: World) -> None:
        world.replicas[2] = Replica(log_start=2, content=b"..cdefgh")
        world.replicas[3] = Replica(high_watermark=6, content=b"abcdef")
        (verified,) = await world.admin.verify_replicas(["t"])
        assert (verified.topic_partition, verified.from_offset, verified.to_offset) == (T0, 2, 6)
        assert verified.identical and list(verified.replicas) == [1, 2, 3]
        assert world.hashed == 3

    in_world(story)


def test_a_replica_that_differs_is_named_after_it_was_looked_at_again() -> None:
    async def story(world: World) -> None:
        world.replicas[2].content = b"abcdXfgh"
        (verified,) = await world.admin.verify_replicas()
        assert not verified.identical and verified.differing == (2,) and not verified.unanswered
        assert world.hashed == 3 * ROUNDS

    in_world(story)


def test_what_only_moved_meanwhile_is_identical_in_the_end() -> None:
    async def story(world: World) -> None:
        world.replicas[3].error = OffsetOutOfRangeError("the log begins later now")
        (verified,) = await world.admin.verify_replicas()
        assert verified.identical and not verified.wrong_before

    in_world(story)


def test_a_replica_that_was_wrong_in_an_earlier_look_is_named_when_all_are_identical() -> None:
    async def story(world: World) -> None:
        for wrong in (Replica(error=CorruptLogError("byte 7")), Mended(content=b"abcdXfgh")):
            world.replicas[2] = wrong
            (verified,) = await world.admin.verify_replicas()
            assert verified.identical and verified.wrong_before == (2,)

    in_world(story)


def test_a_replica_that_stays_wrong_is_not_one_that_was() -> None:
    async def story(world: World) -> None:
        world.replicas[2] = Replica(error=CorruptLogError("byte 7"), heals=False)
        world.replicas[3].content = b"abcdXfgh"
        (verified,) = await world.admin.verify_replicas()
        assert (verified.damaged, verified.differing, verified.wrong_before) == ((2,), (3,), ())

    in_world(story)


@pytest.mark.parametrize("error", [ReplicaNotAvailableError("not here"), OffsetOutOfRangeError("gone")])
def test_a_broker_without_an_answer_is_neither_equal_nor_different(error: StreamkeepError) -> None:
    async def story(world: World) -> None:
        world.replicas[2] = Replica(error=error, heals=False)
        (verified,) = await world.admin.verify_replicas()
        assert not verified.identical and verified.unanswered == (2,) and not verified.differing
        assert isinstance(verified.replicas[2], type(error)) and isinstance(verified.replicas[1], Digest)

    in_world(story)


def test_a_replica_that_is_not_in_sync_hides_no_difference_between_the_others() -> None:
    async def story(world: World) -> None:
        world.in_sync = [1, 2]
        world.replicas[3] = Replica(content=b"", high_watermark=0)
        (verified,) = await world.admin.verify_replicas()
        assert (verified.from_offset, verified.to_offset) == (0, 8)
        assert not verified.identical and verified.unanswered == (3,)
        world.replicas[2].content = b"abcdXfgh"
        (verified,) = await world.admin.verify_replicas()
        assert verified.differing == (2,)

    in_world(story)


def test_a_dead_broker_is_told_and_the_others_are_compared() -> None:
    async def story(world: World) -> None:
        world.machines[2].kill()
        world.replicas[3].content = b"abcdXfgh"
        (verified,) = await world.admin.verify_replicas()
        assert verified.unanswered == (2,) and verified.differing == (3,)
        assert isinstance(verified.replicas[2], UnavailableError)

    in_world(story)


def test_a_topic_that_does_not_exist_cannot_be_verified() -> None:
    async def story(world: World) -> None:
        with pytest.raises(UnknownTopicError):
            await world.admin.verify_replicas(["t", "u"])

    in_world(story)


def test_moves_under_way_are_told_by_partition() -> None:
    async def story(world: World) -> None:
        (move,) = await world.admin.list_reassignments()
        assert (move.topic_partition, move.target, move.adding, move.removing) == (T0, (1, 3), (3,), (2,))

    in_world(story)


def test_sizes_are_told_by_partition_and_broker_and_dead_ones_left_out() -> None:
    async def story(world: World) -> None:
        world.machines[3].kill()
        sizes = await world.admin.replica_sizes()
        assert {broker: each.size_bytes for broker, each in sizes[T0].items()} == {1: 8, 2: 8}

    in_world(story)


def test_a_large_plan_is_sent_in_portions() -> None:
    async def story(world: World) -> None:
        replicas = {("t", number): [1, 2] for number in range(MAX_MOVES_PER_REQUEST + 1)}
        outcomes = await world.admin.reassign_partitions(
            replicas, directory_ids={("t", 0): [b"a" * 16, b""]}, validate_only=True
        )
        assert len(outcomes) == len(replicas)
        assert [len(plan.explicit.partitions) for plan in world.plans] == [MAX_MOVES_PER_REQUEST, 1]
        assert all(plan.validate_only for plan in world.plans)
        assert list(world.plans[0].explicit.partitions[0].directory_ids) == [b"a" * 16, b""]

    in_world(story)


def test_elections_and_cancelled_moves_of_many_partitions_are_asked_for_in_portions() -> None:
    async def story(world: World) -> None:
        names = [("t", number) for number in range(MAX_MOVES_PER_REQUEST + 1)]
        assert len(await world.admin.elect_leaders(names)) == len(names)
        assert [len(each.partitions) for each in world.elections] == [MAX_MOVES_PER_REQUEST, 1]
        assert len(await world.admin.cancel_reassignments(names)) == len(names)
        assert [len(each.cancel.partitions) for each in world.plans] == [MAX_MOVES_PER_REQUEST, 1]

    in_world(story)


def test_who_names_no_partition_asks_once_for_all() -> None:
    async def story(world: World) -> None:
        await world.admin.elect_leaders(validate_only=True)
        await world.admin.cancel_reassignments()
        (election,), (plan,) = world.elections, world.plans
        assert election.validate_only and not election.partitions
        assert plan.WhichOneof("plan") == "cancel" and not plan.cancel.partitions

    in_world(story)
