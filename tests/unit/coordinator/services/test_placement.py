"""Moves, elections, drained and forgotten brokers against a whole coordinator, in simulated time."""

from __future__ import annotations

from streamkeep_common.methods import (
    DESCRIBE_CLUSTER,
    DRAIN_BROKER,
    ELECT_LEADERS,
    REASSIGN_PARTITIONS,
    REMOVE_BROKER,
)
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import (
    CancelPlan,
    DescribeClusterRequest,
    DrainBrokerRequest,
    ElectLeadersRequest,
    EmptyBrokerPlan,
    ExplicitPlan,
    PartitionTarget,
    ReassignPartitionsRequest,
    RemoveBrokerRequest,
    TopicPartitionName,
)
from tests.unit.coordinator.world import World, simulate


def moving(topic: str, *replicas: int, validate_only: bool = False) -> ReassignPartitionsRequest:
    target = PartitionTarget(topic=topic, partition=0, replicas=replicas)
    return ReassignPartitionsRequest(explicit=ExplicitPlan(partitions=[target]), validate_only=validate_only)


def test_a_move_begins_and_is_cancelled() -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(3)
        await world.create("t", replicas=2)
        before = await world.partition("t")
        (newcomer,) = {1, 2, 3} - set(before.replicas)

        request = moving("t", *before.replicas, newcomer, validate_only=True)
        dry = await world.client.call(REASSIGN_PARTITIONS, request, timeout_s=5)
        assert (list(dry.outcomes[0].copies), dry.outcomes[0].metadata_index) == ([newcomer], 0)
        assert await world.partition("t") == before

        request.validate_only = False
        begun = (await world.client.call(REASSIGN_PARTITIONS, request, timeout_s=5)).outcomes[0]
        assert begun.metadata_index > 0
        assert list((await world.partition("t")).adding_replicas) == [newcomer]

        cancel = ReassignPartitionsRequest(cancel=CancelPlan())
        await world.client.call(REASSIGN_PARTITIONS, cancel, timeout_s=5)
        back = await world.partition("t")
        assert (back.replicas, list(back.adding_replicas)) == (before.replicas, [])

    simulate(scenario)


def test_a_plan_that_cannot_be_is_an_error_of_the_whole_and_an_item_one_of_its_own() -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(2)
        await world.create("t")
        emptied = ReassignPartitionsRequest(empty_broker=EmptyBrokerPlan(broker_id=9))
        refused = await world.client.call(REASSIGN_PARTITIONS, emptied, timeout_s=5)
        assert refused.error.code == errors_pb2.UNKNOWN_BROKER
        answer = await world.client.call(REASSIGN_PARTITIONS, moving("t", 9), timeout_s=5)
        assert not answer.HasField("error")
        assert answer.outcomes[0].error.code == errors_pb2.INVALID_REPLICA_ASSIGNMENT

    simulate(scenario)


def test_a_drained_broker_gets_nothing_new_and_says_what_it_has() -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(3)
        await world.create("t", replicas=3)
        request = DrainBrokerRequest(broker_id=2, draining=True)
        assert (await world.client.call(DRAIN_BROKER, request, timeout_s=5)).replicas == 1
        await world.create("u", partitions=4, replicas=2)
        for number in range(4):
            assert 2 not in (await world.partition("u", number)).replicas
        cluster = await world.client.call(DESCRIBE_CLUSTER, DescribeClusterRequest(), timeout_s=5)
        assert [(each.draining, each.replicas) for each in cluster.brokers] == [
            (False, 5),
            (True, 1),
            (False, 5),
        ]

    simulate(scenario)


def test_a_broker_is_forgotten_once_it_is_dead_and_empty() -> None:
    async def scenario(world: World) -> None:
        brokers = await world.live_brokers(2)
        request = RemoveBrokerRequest(broker_id=2)
        alive = await world.client.call(REMOVE_BROKER, request, timeout_s=5)
        assert alive.error.code == errors_pb2.BROKER_NOT_EMPTY
        brokers[1].kill()
        await world.machine.clock.sleep(10)
        assert not (await world.client.call(REMOVE_BROKER, request, timeout_s=5)).HasField("error")
        again = await world.client.call(REMOVE_BROKER, request, timeout_s=5)
        assert again.error.code == errors_pb2.UNKNOWN_BROKER
        await world.restart()
        cluster = await world.client.call(DESCRIBE_CLUSTER, DescribeClusterRequest(), timeout_s=5)
        assert [each.broker_id for each in cluster.brokers] == [1]

    simulate(scenario)


def test_another_order_and_an_election_make_another_leader() -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(2)
        await world.create("t", replicas=2)
        first, second = (await world.partition("t")).replicas
        await world.client.call(REASSIGN_PARTITIONS, moving("t", second, first), timeout_s=5)
        assert (await world.partition("t")).leader == first
        elect = ElectLeadersRequest(partitions=[TopicPartitionName(topic="t", partition=0)])
        (outcome,) = (await world.client.call(ELECT_LEADERS, elect, timeout_s=5)).outcomes
        assert (outcome.from_leader, outcome.to_leader) == (first, second)
        assert (await world.partition("t")).leader == second

    simulate(scenario)
