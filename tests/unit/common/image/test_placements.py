"""Replicas that move, brokers that go: feature level 3 of the image."""

from __future__ import annotations

import pytest

from streamkeep_common.image import (
    ClusterImage,
    InconsistentMetadataError,
    PartitionImage,
    apply,
    difference,
    to_records,
)
from streamkeep_proto.v1.metadata_pb2 import (
    MetadataRecord,
    PartitionChangesRecord,
    PartitionStanding,
)
from tests.unit.common.image.records import (
    broker,
    broker_removed,
    directory_id,
    feature_level,
    fenced,
    partition,
    placement,
    topic,
    topic_id,
)


def sample(level: int = 3) -> ClusterImage:
    """Broker 1 leads two partitions alone; 2 and 3 have nothing, and 3 is live."""
    records = [feature_level(level), *map(broker, (1, 2, 3)), fenced(3, is_fenced=False)]
    records += [topic(1), partition(1, 0), partition(1, 1)]
    return apply(ClusterImage(), records, 1)[0]


def test_a_placement_replaces_all_of_a_partition() -> None:
    before = sample()
    after, delta = apply(before, [placement(1, 1, 1, 2, epoch=2, adding=[2])], 2)

    moved = after.partition(topic_id(1), 1)
    assert moved is not None
    assert (moved.replicas, moved.adding_replicas, moved.removing_replicas) == ((1, 2), (2,), ())
    assert moved.directory_of(2) == directory_id(2)
    assert delta.changed_partitions == (moved,)
    assert difference(before, after).changed_partitions == (moved,)
    assert after.partition(topic_id(1), 0) is before.partition(topic_id(1), 0)


def test_a_placement_is_counted_where_it_goes() -> None:
    added, _ = apply(sample(), [placement(1, 1, 1, 2, epoch=2, adding=[2])], 2)
    assert added.replica_counts == {1: 2, 2: 1}
    assert added.hosted[2] == {topic_id(1): 1}
    assert added.leader_counts == {1: 2}

    moved, _ = apply(added, [placement(1, 1, 2, epoch=3, leader_epoch=2)], 3)
    assert moved.replica_counts == {1: 1, 2: 1}
    assert moved.directory_counts == {directory_id(1): 1, directory_id(2): 1}
    assert moved.leader_counts == {1: 1, 2: 1}
    assert moved.hosted == {1: {topic_id(1): 1}, 2: {topic_id(1): 1}}

    away, _ = apply(moved, [placement(1, 0, 2, epoch=2, leader_epoch=2)], 4)
    assert 1 not in away.hosted
    assert away.replica_counts == {2: 2}


def test_a_snapshot_holds_a_reassignment_that_is_under_way() -> None:
    image, _ = apply(sample(), [placement(1, 1, 2, 1, epoch=2, adding=[2], removing=[1])], 2)
    rebuilt, _ = apply(ClusterImage(), list(to_records(image)), image.index)
    assert rebuilt == image


def test_who_was_in_sync_last_is_kept_while_nobody_leads() -> None:
    lost = PartitionChangesRecord(
        topic_id=topic_id(1),
        partitions=[0, 1],
        standing_indexes=[0, 0],
        leader_epochs=[2, 2],
        partition_epochs=[2, 2],
        standings=[PartitionStanding(last_members=[1])],
    )
    image, _ = apply(sample(), [MetadataRecord(partition_changes=lost)], 2)
    left = image.topics[topic_id(1)].partitions
    assert [each.last_members for each in left] == [(1,), (1,)]
    assert left[0].last_members is left[1].last_members
    rebuilt, _ = apply(ClusterImage(), list(to_records(image)), image.index)
    assert rebuilt == image


def test_a_removed_broker_is_forgotten_but_for_its_epoch() -> None:
    before = sample()
    after, delta = apply(before, [broker_removed(2)], 2)
    assert list(after.brokers) == [1, 3]
    assert delta.changed_brokers == difference(before, after).changed_brokers == (2,)
    rebuilt, _ = apply(ClusterImage(), list(to_records(after)), after.index)
    assert rebuilt == after
    with pytest.raises(InconsistentMetadataError, match="goes back to epoch 1"):
        apply(rebuilt, [broker(2, epoch=1)], 3)
    again, _ = apply(rebuilt, [broker(2, epoch=2)], 3)
    assert list(again.brokers) == [1, 2, 3] and not again.removed_brokers


def without_directory() -> MetadataRecord:
    record = placement(1, 0, 1, 2, epoch=2)
    del record.partition_placement.partition.directory_ids[1:]
    return record


@pytest.mark.parametrize(
    "record",
    [
        placement(1, 0, 1, 2, epoch=3),
        placement(1, 0, 1, 2, epoch=2, leader_epoch=0),
        placement(1, 0, 2, epoch=2),
        placement(1, 2, 1, epoch=2),
        placement(9, 0, 1, epoch=2),
        without_directory(),
        broker_removed(1),
        broker_removed(3),
        broker_removed(9),
    ],
)
def test_a_placement_or_a_removal_that_contradicts_the_image_is_refused(record: MetadataRecord) -> None:
    with pytest.raises(InconsistentMetadataError, match="entry 2"):
        apply(sample(), [record], 2)


@pytest.mark.parametrize("record", [placement(1, 0, 1, 2, epoch=2), broker_removed(2)])
def test_replicas_move_only_from_their_feature_level_on(record: MetadataRecord) -> None:
    with pytest.raises(InconsistentMetadataError, match="feature level 2"):
        apply(sample(level=2), [record], 2)


def moving(replicas: tuple[int, ...], adding: tuple[int, ...], removing: tuple[int, ...]) -> PartitionImage:
    return PartitionImage(
        topic_id=topic_id(1),
        partition=0,
        replicas=replicas,
        directory_ids=tuple(map(directory_id, replicas)),
        isr=replicas[:1],
        elr=(),
        leader=replicas[0],
        leader_epoch=1,
        partition_epoch=1,
        adding_replicas=adding,
        removing_replicas=removing,
    )


def test_replicas_that_are_added_do_not_raise_what_must_be_in_sync() -> None:
    second = moving((1, 2), (2,), ())
    assert (second.required_isr(2), second.target_replicas) == (1, (1, 2))
    swapped = moving((4, 2, 3, 1), (4,), (1,))
    assert (swapped.required_isr(2), swapped.required_isr(5)) == (2, 3)
    assert swapped.target_replicas == (4, 2, 3)
