"""Plans: what is refused, item by item, and where replicas go when nobody says."""

from __future__ import annotations

from collections import Counter

import pytest

from streamkeep_common.errors import (
    InvalidReplicationFactorError,
    InvalidRequestError,
    UnknownBrokerError,
    UnknownTopicError,
    UnsupportedFeatureError,
)
from streamkeep_common.image import ClusterImage
from streamkeep_common.limits import MAX_MOVES_PER_REQUEST
from streamkeep_coordinator.metadata.plans import reassign_partitions
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import ExplicitPlan, PartitionTarget, ReassignPartitionsRequest
from streamkeep_proto.v1.errors_pb2 import ErrorCode
from tests.unit.coordinator.metadata.layout import Layout, directory


@pytest.mark.parametrize(
    ("replicas", "why"),
    [
        ([], "1 to"),
        ([1, 9], "no broker 9"),
        ([1, 0], "no broker 0"),
        ([1, 1], "named twice"),
        ([1, 5], "broker 5 is fenced"),
        ([1, 4], "broker 4 is drained"),
    ],
)
def test_replicas_that_cannot_be_are_refused_by_name(replicas: list[int], why: str) -> None:
    cluster = Layout(5)
    cluster.register(4, draining=True)
    cluster.fence(5)
    cluster.topic("t", [1, 2])
    outcome = cluster.move(replicas)
    assert outcome is not None
    assert outcome.error.code == errors_pb2.INVALID_REPLICA_ASSIGNMENT
    assert why in outcome.error.message
    assert cluster.partition().replicas == (1, 2)


def test_a_fenced_or_drained_broker_keeps_the_replica_that_it_has() -> None:
    cluster = Layout(4)
    cluster.topic("t", [1, 2, 3])
    cluster.register(2, draining=True)
    cluster.fence(3)
    outcome = cluster.move([1, 2, 3, 4])
    assert outcome is not None
    assert not outcome.HasField("error")


@pytest.mark.parametrize(
    ("directories", "why"),
    [
        ([b""], "1 directories are named for 2"),
        ([b"", directory(1)], "broker 3 has no log directory"),
        ([b"", b"short"], "broker 3 has no log directory"),
        ([b"", directory(3, 2)], "full or stalled"),
    ],
)
def test_directories_that_cannot_be_are_refused_by_name(directories: list[bytes], why: str) -> None:
    cluster = Layout(3, directories=2)
    cluster.register(3, directories=2, full_directory_ids=[directory(3, 2)])
    cluster.topic("t", [1, 2])
    outcome = cluster.move([1, 3], directories=directories)
    assert outcome is not None
    assert outcome.error.code == errors_pb2.INVALID_REPLICA_ASSIGNMENT
    assert why in outcome.error.message


def test_an_item_that_fails_leaves_the_others_alone() -> None:
    cluster = Layout(3)
    cluster.topic("t", [1], [2])
    targets = [
        PartitionTarget(topic="none", partition=0, replicas=[1]),
        PartitionTarget(topic="t", partition=7, replicas=[1]),
        PartitionTarget(topic="t", partition=1, replicas=[3]),
    ]
    outcomes = cluster.plan(ReassignPartitionsRequest(explicit=ExplicitPlan(partitions=targets)))
    assert [ErrorCode.Name(each.error.code) for each in outcomes] == [
        "UNKNOWN_TOPIC",
        "UNKNOWN_PARTITION",
        "NONE",
    ]
    assert cluster.partition("t", 1).adding_replicas == (3,)


def test_what_is_as_wanted_or_on_its_way_is_left_out() -> None:
    cluster = Layout(4)
    cluster.topic("t", [1, 2])
    assert cluster.move([1, 2]) is None
    assert cluster.move([3, 4]) is not None
    assert cluster.move([3, 4]) is None
    assert cluster.resize(2) == []


def test_one_move_at_a_time() -> None:
    cluster = Layout(4)
    cluster.topic("t", [1, 2])
    cluster.move([1, 3])
    outcome = cluster.move([1, 4])
    assert outcome is not None
    assert outcome.error.code == errors_pb2.REASSIGNMENT_IN_PROGRESS
    (resized,) = cluster.resize(3)
    (emptied,) = cluster.empty(1)
    assert resized.error.code == emptied.error.code == errors_pb2.REASSIGNMENT_IN_PROGRESS


def test_only_what_is_moved_is_cancelled() -> None:
    cluster = Layout(3)
    cluster.topic("t", [1], [2])
    cluster.move([3])
    named = cluster.cancel(("t", 1))
    assert [each.error.code for each in named] == [errors_pb2.NO_REASSIGNMENT_IN_PROGRESS]
    assert [each.partition for each in cluster.cancel()] == [0]
    assert cluster.cancel() == []


def test_a_plan_that_is_only_validated_moves_nothing() -> None:
    cluster = Layout(3)
    cluster.topic("t", [1])
    target = PartitionTarget(topic="t", partition=0, replicas=[2])
    request = ReassignPartitionsRequest(explicit=ExplicitPlan(partitions=[target]), validate_only=True)
    (outcome,) = cluster.plan(request)
    assert list(outcome.to_replicas) == [2]
    assert cluster.partition().replicas == (1,)


def test_a_plan_as_a_whole_can_be_wrong() -> None:
    cluster = Layout(3)
    cluster.topic("t", [1])
    twice = [PartitionTarget(topic="t", partition=0, replicas=[2])] * 2
    with pytest.raises(InvalidRequestError, match="t-0 2 times"):
        cluster.plan(ReassignPartitionsRequest(explicit=ExplicitPlan(partitions=twice)))
    with pytest.raises(InvalidRequestError, match="no plan"):
        cluster.plan(ReassignPartitionsRequest())
    with pytest.raises(UnknownBrokerError):
        cluster.empty(9)
    with pytest.raises(UnknownTopicError):
        cluster.resize(2, "none")
    with pytest.raises(InvalidReplicationFactorError):
        cluster.resize(0)
    with pytest.raises(UnsupportedFeatureError):
        reassign_partitions(ClusterImage(feature_level=2), ReassignPartitionsRequest())


def test_an_emptied_broker_gives_its_replicas_to_the_others_evenly() -> None:
    cluster = Layout(5)
    cluster.topic("t", *([1, 2 + number % 4] for number in range(8)))
    outcomes = cluster.empty(1)
    assert len(outcomes) == 8
    targets = [cluster.partition("t", number).target_replicas for number in range(8)]
    assert all(1 not in each and len(set(each)) == 2 for each in targets)
    replicas = Counter(broker for each in targets for broker in each)
    leaders = Counter(each[0] for each in targets)
    assert set(replicas.values()) == {4}
    assert set(leaders.values()) == {2}


def test_an_emptied_broker_s_replicas_stay_spread_over_racks() -> None:
    cluster = Layout(6, racks=["a", "a", "b", "b", "c", "c"])
    cluster.topic("t", [1, 3, 5], [3, 5, 1], [5, 1, 3])
    cluster.empty(1)
    for number in range(3):
        assert set(cluster.partition("t", number).target_replicas) == {2, 3, 5}


def test_topics_emptied_together_are_spread_together() -> None:
    cluster = Layout(5)
    for number in range(8):
        cluster.topic(f"t{number}", [1])
    cluster.empty(1)
    targets = Counter(cluster.partition(f"t{number}").target_replicas for number in range(8))
    assert set(targets.values()) == {2}


def test_a_broker_is_not_emptied_where_nobody_has_room() -> None:
    cluster = Layout(3)
    cluster.topic("t", [1, 2, 3])
    (outcome,) = cluster.empty(1)
    assert outcome.error.code == errors_pb2.INVALID_REPLICA_ASSIGNMENT
    assert "no broker without a replica of t-0 is live" in outcome.error.message


def test_what_leaves_a_broker_already_is_not_moved_again() -> None:
    cluster = Layout(4)
    cluster.topic("t", [1, 2], [1, 3])
    cluster.move([2, 3])
    assert [each.partition for each in cluster.empty(1)] == [1]


def test_more_replicas_come_behind_those_that_there_are_and_spread() -> None:
    cluster = Layout(3, racks=["a", "a", "b"])
    cluster.topic("t", [1], [2], [3])
    assert len(cluster.resize(2)) == 3
    targets = [cluster.partition("t", number).target_replicas for number in range(3)]
    assert [each[0] for each in targets] == [1, 2, 3]
    assert targets[0] == (1, 3)
    assert targets[1] == (2, 3)


def test_more_replicas_than_brokers_cannot_be() -> None:
    cluster = Layout(2)
    cluster.topic("t", [1])
    (outcome,) = cluster.resize(3)
    assert outcome.error.code == errors_pb2.INVALID_REPLICATION_FACTOR


def test_fewer_replicas_keep_the_leader_and_its_order() -> None:
    cluster = Layout(3)
    cluster.topic("t", [1, 2, 3])
    cluster.stand([2, 3], leader=2)
    cluster.resize(1)
    done = cluster.partition()
    assert (done.replicas, done.leader) == ((2,), 2)


def test_fewer_replicas_lose_first_what_is_not_in_sync_then_what_shares_a_rack() -> None:
    cluster = Layout(4, racks=["a", "a", "b", "c"])
    cluster.topic("t", [1, 2, 3, 4])
    cluster.stand([1, 2, 3])
    cluster.resize(3)
    assert cluster.partition().replicas == (1, 2, 3)
    cluster.resize(2)
    assert cluster.partition().replicas == (1, 3)


def test_fewer_replicas_leave_the_brokers_balanced() -> None:
    cluster = Layout(4)
    cluster.topic("t", *([1 + n % 4, 1 + (n + 1) % 4, 1 + (n + 2) % 4] for n in range(8)))
    cluster.resize(2)
    replicas = Counter(broker for number in range(8) for broker in cluster.partition("t", number).replicas)
    assert max(replicas.values()) - min(replicas.values()) <= 1


def test_one_request_moves_so_many_and_the_next_one_the_rest() -> None:
    cluster = Layout(3)
    cluster.topic("t", *([1] for _ in range(MAX_MOVES_PER_REQUEST + 5)))
    assert len(cluster.resize(2)) == MAX_MOVES_PER_REQUEST
    assert len(cluster.resize(2)) == 5
    assert cluster.resize(2) == []


def test_a_replica_that_stays_may_be_in_a_rack_where_nobody_can_take_one() -> None:
    cluster = Layout(4, racks=["a", "b", "c", "c"])
    cluster.topic("t", [1, 2, 3])
    cluster.fence(2)
    cluster.stand([1, 3])
    (outcome,) = cluster.empty(1)
    assert set(outcome.to_replicas) == {2, 3, 4}
    cluster.fence(4)
    cluster.cancel()
    (refused,) = cluster.empty(1)
    assert refused.error.code == errors_pb2.INVALID_REPLICA_ASSIGNMENT
