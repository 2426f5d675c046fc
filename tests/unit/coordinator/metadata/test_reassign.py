"""Moves of one partition's replicas (KIP-455), and what they must never do."""

from __future__ import annotations

from streamkeep_proto.v1 import errors_pb2
from tests.unit.coordinator.metadata.layout import Layout, directory


def test_a_swap_copies_first_and_removes_last() -> None:
    cluster = Layout(5)
    cluster.topic("t", [1, 2, 3])
    outcome = cluster.move([1, 4, 5])
    assert outcome is not None
    assert list(outcome.from_replicas) == [1, 2, 3]
    assert list(outcome.to_replicas) == [1, 4, 5]
    assert list(outcome.copies) == [4, 5]
    begun = cluster.partition()
    assert begun.replicas == (1, 4, 5, 2, 3)
    assert (begun.adding_replicas, begun.removing_replicas) == ((4, 5), (2, 3))
    assert (begun.isr, begun.leader, begun.leader_epoch, begun.partition_epoch) == ((1, 2, 3), 1, 1, 2)

    assert not cluster.in_sync(1, 2, 3, 4)
    assert cluster.in_sync(1, 2, 3, 4, 5)
    done = cluster.partition()
    assert (done.replicas, done.isr, done.leader) == ((1, 4, 5), (1, 4, 5), 1)
    assert (done.adding_replicas, done.removing_replicas) == ((), ())


def test_the_leader_epoch_rises_when_a_replica_goes_and_not_when_one_comes() -> None:
    cluster = Layout()
    cluster.topic("t", [1, 2])
    cluster.move([1, 2, 3])
    assert cluster.partition().leader_epoch == 1
    cluster.in_sync(1, 2, 3)
    assert cluster.partition().leader_epoch == 1
    cluster.move([1, 2])
    assert cluster.partition().leader_epoch == 2


def test_a_leader_that_goes_is_replaced_by_one_in_sync() -> None:
    cluster = Layout(5)
    cluster.topic("t", [1, 2, 3])
    cluster.move([4, 5])
    assert cluster.partition().leader == 1
    assert cluster.in_sync(1, 4, 5)
    done = cluster.partition()
    assert (done.replicas, done.leader, done.leader_epoch) == ((4, 5), 4, 2)


def test_removing_is_done_at_once_when_the_others_are_in_sync() -> None:
    cluster = Layout()
    cluster.topic("t", [1, 2, 3])
    outcome = cluster.move([2, 3])
    assert outcome is not None
    assert list(outcome.copies) == []
    done = cluster.partition()
    assert (done.replicas, done.isr, done.leader, done.removing_replicas) == ((2, 3), (2, 3), 2, ())


def test_removing_waits_for_those_that_stay_to_be_in_sync() -> None:
    cluster = Layout()
    cluster.topic("t", [1, 2, 3])
    cluster.stand([1, 3])
    cluster.move([1, 2])
    assert cluster.partition().replicas == (1, 2, 3)
    assert cluster.partition().removing_replicas == (3,)
    assert cluster.in_sync(1, 2, 3)
    assert cluster.partition().replicas == (1, 2)


def test_every_in_sync_replica_is_not_removed_without_another_to_come() -> None:
    cluster = Layout()
    cluster.topic("t", [1, 2, 3], min_isr=1)
    cluster.stand([1])
    refused = cluster.move([2, 3])
    assert refused is not None
    assert refused.error.code == errors_pb2.INVALID_REPLICA_ASSIGNMENT
    assert cluster.partition().replicas == (1, 2, 3)


def test_another_order_is_another_preferred_leader_and_nothing_else() -> None:
    cluster = Layout()
    cluster.topic("t", [1, 2, 3])
    cluster.move([3, 1, 2])
    done = cluster.partition()
    assert (done.replicas, done.leader, done.leader_epoch, done.partition_epoch) == ((3, 1, 2), 1, 1, 2)


def test_a_cancelled_move_goes_back_to_the_old_replicas() -> None:
    cluster = Layout(5)
    cluster.topic("t", [1, 2, 3])
    cluster.move([1, 4, 5])
    (outcome,) = cluster.cancel(("t", 0))
    assert list(outcome.to_replicas) == [1, 2, 3]
    back = cluster.partition()
    assert (back.replicas, back.isr, back.leader) == ((1, 2, 3), (1, 2, 3), 1)
    assert (back.adding_replicas, back.removing_replicas) == ((), ())


def test_a_cancelled_move_goes_back_also_when_an_added_replica_is_in_sync() -> None:
    """Kafka's ReassignPartitionsCommandTest, "cancel with adding replica in ISR"."""
    cluster = Layout(5)
    cluster.topic("t", [1, 2, 3])
    cluster.move([4, 5, 3])
    cluster.in_sync(1, 2, 3, 4)
    cluster.cancel()
    back = cluster.partition()
    assert (set(back.replicas), set(back.isr), back.leader) == ({1, 2, 3}, {1, 2, 3}, 1)


def test_a_cancelled_move_elects_when_an_added_replica_leads() -> None:
    cluster = Layout(5)
    cluster.topic("t", [1, 2, 3])
    cluster.move([4, 5])
    cluster.stand([4, 2], leader=4)
    before = cluster.partition()
    cluster.cancel()
    back = cluster.partition()
    assert (back.isr, back.leader, back.leader_epoch) == ((2,), 2, before.leader_epoch + 1)


def test_a_move_is_not_cancelled_when_only_added_replicas_have_all_records() -> None:
    cluster = Layout(5)
    cluster.topic("t", [1, 2])
    cluster.move([4, 5])
    cluster.stand([4], leader=4)
    (refused,) = cluster.cancel()
    assert refused.error.code == errors_pb2.INVALID_REPLICA_ASSIGNMENT
    assert cluster.partition().adding_replicas == (4, 5)


def test_a_move_is_not_cancelled_when_an_added_replica_was_among_the_last_in_sync() -> None:
    cluster = Layout(5)
    cluster.topic("t", [1, 2])
    cluster.move([4, 5])
    cluster.stand([], elr=[1, 4])
    cluster.fence(1)
    (refused,) = cluster.cancel()
    assert "the copy of 4" in refused.error.message
    cluster.fence(1, fenced=False)
    cluster.cancel()
    assert (cluster.partition().isr, cluster.partition().leader) == ((1,), 1)


def test_a_replica_that_changes_its_directory_is_out_of_sync_until_it_is_copied() -> None:
    cluster = Layout(3, directories=2)
    cluster.topic("t", [1, 2, 3])
    outcome = cluster.move([1, 2, 3], directories=[b"", b"", directory(3, 2)])
    assert outcome is not None
    assert list(outcome.copies) == [3]
    moved = cluster.partition()
    assert moved.directory_ids == (directory(1), directory(2), directory(3, 2))
    assert (moved.isr, moved.leader) == ((1, 2), 1)


def test_what_a_replica_acknowledged_for_its_old_directory_counts_no_more() -> None:
    """Its subscription is of the old leader epoch: else the empty copy could be taken for one in sync."""
    cluster = Layout(3, directories=2)
    cluster.topic("t", [1, 2, 3])
    cluster.move([1, 2, 3], directories=[b"", b"", directory(3, 2)])
    assert cluster.partition().leader_epoch == 2


def test_a_leader_that_changes_its_directory_hands_leadership_on() -> None:
    cluster = Layout(3, directories=2)
    cluster.topic("t", [1, 2, 3])
    cluster.move([1, 2, 3], directories=[directory(1, 2), b"", b""])
    assert (cluster.partition().isr, cluster.partition().leader) == ((2, 3), 2)


def test_a_directory_is_not_changed_where_too_few_would_be_in_sync() -> None:
    cluster = Layout(3, directories=2)
    cluster.topic("t", [1, 2, 3])
    refused = cluster.move([1, 2, 3], directories=[b"", directory(2, 2), directory(3, 2)])
    assert refused is not None
    assert refused.error.code == errors_pb2.INVALID_REPLICA_ASSIGNMENT
    assert "1 in sync where 2 are needed" in refused.error.message
    assert cluster.partition().directory_ids == (directory(1), directory(2), directory(3))


def test_the_only_replica_does_not_change_its_directory() -> None:
    cluster = Layout(1, directories=2)
    cluster.topic("t", [1])
    refused = cluster.move([1], directories=[directory(1, 2)])
    assert refused is not None
    assert refused.error.code == errors_pb2.INVALID_REPLICA_ASSIGNMENT


def test_a_replica_without_data_changes_its_directory_whoever_is_in_sync() -> None:
    cluster = Layout(2, directories=2)
    cluster.topic("t", [1, 2], min_isr=1)
    cluster.stand([1])
    cluster.move([1, 2], directories=[b"", directory(2, 2)])
    assert cluster.partition().directory_ids == (directory(1), directory(2, 2))
