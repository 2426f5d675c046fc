"""What the client believes, when answers come late, out of order, and from coordinators of different ages."""

from __future__ import annotations

from streamkeep.cluster_view import NO_ADDRESS, ClusterView
from streamkeep_common.errors import UnknownTopicError, to_proto
from streamkeep_proto.v1.coordinator_pb2 import BrokerInfo, GetMetadataResponse, PartitionInfo, TopicInfo
from streamkeep_proto.v1.errors_pb2 import LeaderHint


def answer(
    index: int, *, leader: int = 1, epoch: int = 1, topic_id: bytes = b"one", partitions: int = 1
) -> GetMetadataResponse:
    infos = [
        PartitionInfo(partition=number, leader=leader, leader_epoch=epoch, partition_epoch=epoch)
        for number in range(partitions)
    ]
    return GetMetadataResponse(
        cluster_id="c",
        metadata_index=index,
        brokers=[BrokerInfo(broker_id=number, address=f"b{number}:1") for number in (1, 2)],
        topics=[TopicInfo(name="t", topic_id=topic_id, partitions=infos)],
    )


def recovered(index: int, *, cluster_epoch: int, leader: int, epoch: int) -> GetMetadataResponse:
    response = answer(index, leader=leader, epoch=epoch)
    response.cluster_epoch = cluster_epoch
    return response


def missing(index: int) -> GetMetadataResponse:
    return GetMetadataResponse(
        metadata_index=index, topics=[TopicInfo(name="t", error=to_proto(UnknownTopicError()))]
    )


def address(view: ClusterView) -> str:
    return view.topics["t"].partition(0).address


def test_a_partition_never_goes_back_to_an_older_leader() -> None:
    view = ClusterView()
    view.apply(answer(10, leader=2, epoch=5))
    view.apply(answer(9, leader=1, epoch=4))
    assert address(view) == "b2:1"
    view.apply(answer(11, leader=1, epoch=6))
    assert address(view) == "b1:1"


def test_a_hint_counts_until_metadata_know_more() -> None:
    view = ClusterView()
    view.apply(answer(10, leader=1, epoch=5))
    assert view.apply_hint(("t", 0), LeaderHint(broker_id=2, address="b2:1", leader_epoch=6))
    assert address(view) == "b2:1"
    assert not view.apply_hint(("t", 0), LeaderHint(broker_id=1, address="b1:1", leader_epoch=6)), "no news"
    assert not view.apply_hint(("t", 3), LeaderHint(broker_id=1, address="b1:1", leader_epoch=9))
    view.apply(answer(11, leader=1, epoch=5))
    assert address(view) == "b2:1", "that coordinator has not heard of epoch 6"


def test_a_leader_that_is_gone_leaves_no_address() -> None:
    view = ClusterView()
    view.apply(answer(10))
    view.apply(answer(11, leader=0, epoch=2))
    assert address(view) == NO_ADDRESS


def test_a_topic_made_anew_replaces_the_old_one_but_not_the_other_way_round() -> None:
    view = ClusterView()
    view.apply(answer(10, epoch=7, topic_id=b"old"))
    view.apply(answer(20, epoch=1, topic_id=b"new"))
    assert view.topics["t"].topic_id == b"new"
    view.apply(answer(15, epoch=9, topic_id=b"old"))
    assert view.topics["t"].topic_id == b"new"


def test_only_a_later_answer_can_say_that_a_topic_is_gone() -> None:
    view = ClusterView()
    view.apply(answer(10))
    assert view.apply(missing(9)) == ["t"]
    assert "t" in view.topics
    view.apply(missing(11))
    assert "t" not in view.topics


def test_after_a_recovery_by_force_what_was_known_is_void() -> None:
    view = ClusterView()
    view.apply(recovered(100, cluster_epoch=1, leader=2, epoch=9))
    view.apply(recovered(90, cluster_epoch=2, leader=1, epoch=5))
    assert address(view) == "b1:1"
    assert (view.cluster_epoch, view.metadata_index) == (2, 90)


def test_a_coordinator_that_only_lags_changes_nothing() -> None:
    view = ClusterView()
    view.apply(recovered(100, cluster_epoch=1, leader=2, epoch=9))
    view.apply(recovered(90, cluster_epoch=1, leader=1, epoch=5))
    assert address(view) == "b2:1"
    assert view.metadata_index == 100


def test_partitions_are_added() -> None:
    view = ClusterView()
    view.apply(answer(10))
    view.apply(answer(11, partitions=4))
    assert len(view.topics["t"].partitions) == 4
    view.apply(answer(10))
    assert len(view.topics["t"].partitions) == 4
