from __future__ import annotations

import pytest

from streamkeep_common.errors import UnsupportedFeatureError
from streamkeep_common.image import ClusterImage, ImageDelta, InconsistentMetadataError, apply
from streamkeep_common.image.apply import LOST_EPOCHS
from streamkeep_proto.v1.metadata_pb2 import (
    ClusterRecord,
    FeatureLevelRecord,
    MetadataRecord,
    NoOpRecord,
    ProducerIdsRecord,
)
from tests.unit.common.image.records import (
    broker,
    directory_id,
    feature_level,
    fenced,
    partition,
    partition_change,
    partition_changes,
    quorum,
    setting,
    topic,
    topic_id,
    topic_removed,
)


def build(*entries: list[MetadataRecord]) -> tuple[ClusterImage, ImageDelta]:
    image = ClusterImage()
    delta = ImageDelta(image, image)
    for records in entries:
        image, delta = apply(image, records, image.index + 1)
    return image, delta


def test_records_of_one_entry_take_effect_together() -> None:
    image, delta = build([topic(1), partition(1, 0), partition(1, 1), setting(1, "retention_ms", "5")])

    found = image.topic("topic-1")
    assert found is not None
    assert [each.partition for each in found.partitions] == [0, 1]
    assert found.settings == {"retention_ms": "5"}
    assert image.partition(topic_id(1), 1) is found.partitions[1]
    assert image.partition(topic_id(1), 2) is None
    assert (image.index, image.partition_count, image.offline_partition_count) == (1, 2, 0)
    assert delta.new_topics == (found,)
    assert delta.changed_partitions == found.partitions
    assert delta.changed_settings == ()


def test_partitions_are_counted_by_leader_broker_and_directory() -> None:
    image, _ = build(
        [topic(1), partition(1, 0), partition(1, 1, leader=0), topic(2), partition(2, 0)],
        [topic_removed(2), partition_change(1, 0, leader=0, epoch=2)],
    )
    assert image.leader_counts == {0: 2}
    assert image.replica_counts == {1: 2}
    assert image.directory_counts == {directory_id(1): 2}
    assert image.hosted[1] == {topic_id(1): 2}
    assert [each.name for each in image.topics_of(1)] == ["topic-1"]
    assert list(image.topics_of(2)) == []


def test_a_topic_without_partitions_shows_in_the_delta() -> None:
    _, delta = build([topic(1)])
    assert [each.name for each in delta.new_topics] == ["topic-1"]


def test_an_image_never_changes() -> None:
    before, _ = build([broker(1), topic(1), partition(1, 0)])
    records_before = before.topics[topic_id(1)]

    after, _ = apply(before, [partition_change(1, 0, leader=0, epoch=2), fenced(1, is_fenced=False)], 2)

    assert before.topics[topic_id(1)] is records_before
    assert before.topics[topic_id(1)].partitions[0].leader == 1
    assert before.brokers[1].fenced
    assert (after.offline_partition_count, before.offline_partition_count) == (1, 0)


def test_what_an_entry_does_not_touch_is_shared() -> None:
    before, _ = build([topic(1), partition(1, 0), topic(2), partition(2, 0), partition(2, 1)])
    after, delta = apply(before, [partition_change(2, 0, leader=0, epoch=2)], 2)

    assert after.topics[topic_id(1)] is before.topics[topic_id(1)]
    assert after.topics[topic_id(2)].partitions[1] is before.topics[topic_id(2)].partitions[1]
    assert after.topics[topic_id(2)].settings is before.topics[topic_id(2)].settings
    assert [(each.topic_id, each.partition) for each in delta.changed_partitions] == [(topic_id(2), 0)]


def test_a_topic_deleted_and_created_again_is_another_one() -> None:
    before, _ = build([topic(1, "flights"), partition(1, 0)])
    after, delta = apply(before, [topic_removed(1), topic(2, "flights")], 2)

    assert after.topic_ids["flights"] == topic_id(2)
    assert topic_id(1) not in after.topics
    assert [each.topic_id for each in delta.removed_topics] == [topic_id(1)]
    assert [each.topic_id for each in delta.new_topics] == [topic_id(2)]
    assert (after.partition_count, after.offline_partition_count) == (0, 0)


def test_a_topic_that_came_and_went_in_one_entry_shows_nowhere() -> None:
    image, delta = build([topic(1), partition(1, 0), topic_removed(1)])
    assert len(image.topics) == len(image.topic_ids) == image.partition_count == 0
    assert delta.new_topics == delta.removed_topics == delta.changed_partitions == ()


def test_a_setting_without_value_returns_to_the_default() -> None:
    before, _ = build([topic(1), setting(1, "retention_ms", "5"), setting(1, "segment_ms", "6")])
    after, delta = apply(before, [setting(1, "retention_ms", None)], 2)
    assert after.topics[topic_id(1)].settings == {"segment_ms": "6"}
    assert delta.changed_settings == (topic_id(1),)


def test_a_setting_set_to_the_value_it_has_is_no_change() -> None:
    before, _ = build([topic(1), setting(1, "retention_ms", "5")])
    _, delta = apply(before, [setting(1, "retention_ms", "5")], 2)
    assert delta.changed_settings == ()


def test_a_new_incarnation_starts_fenced_and_the_same_one_stays_as_it_was() -> None:
    image, _ = build([broker(1)], [fenced(1, is_fenced=False)])
    assert image.is_live(1)

    same, _ = apply(image, [broker(1)], 3)
    assert same.is_live(1)
    newer, delta = apply(same, [broker(1, epoch=2)], 4)
    assert not newer.is_live(1)
    assert delta.changed_brokers == (1,)


def test_brokers_are_listed_by_id() -> None:
    image, _ = build([broker(3), broker(1)], [broker(2)])
    assert list(image.brokers) == [1, 2, 3]


@pytest.mark.parametrize(
    "records",
    [
        [partition(9, 0)],
        [topic_removed(9)],
        [topic(2, "topic-1")],
        [topic(1, "other")],
        [partition(1, 2)],
        [partition_change(1, 5, leader=1, epoch=2)],
        [partition_change(1, 0, leader=1, epoch=1)],
        [partition_change(1, 0, leader=1, epoch=3)],
        [fenced(1, epoch=7, is_fenced=True)],
        [fenced(8, is_fenced=True)],
        [broker(1, epoch=0)],
        [setting(9, "retention_ms", "1")],
        [MetadataRecord(cluster=ClusterRecord(cluster_id="another"))],
        [MetadataRecord(producer_ids=ProducerIdsRecord(next_producer_id=0))],
    ],
)
def test_a_record_that_contradicts_the_image_is_refused(records: list[MetadataRecord]) -> None:
    before, _ = build(
        [MetadataRecord(cluster=ClusterRecord(cluster_id="one")), broker(1), topic(1), partition(1, 0)]
    )
    with pytest.raises(InconsistentMetadataError, match="entry 2"):
        apply(before, records, 2)


def test_an_index_never_goes_back() -> None:
    image, _ = build([], [])
    with pytest.raises(InconsistentMetadataError, match="entry 2 does not follow entry 2"):
        apply(image, [], 2)


def test_a_no_op_moves_only_the_index() -> None:
    before, _ = build([topic(1)])
    after, delta = apply(before, [MetadataRecord(no_op=NoOpRecord())], 9)
    assert after.index == 9
    assert after.topics is before.topics
    assert delta == ImageDelta(before, after)


def test_the_quorum_is_part_of_the_image_from_level_2_on() -> None:
    before, _ = build([feature_level(2)])
    record = quorum(1, 2, 3)
    after, delta = apply(before, [record], 2)
    assert after.quorum == record.quorum
    assert delta.quorum_changed

    record.quorum.cluster_epoch = 7
    assert after.quorum is not None
    assert after.quorum.cluster_epoch == 1, "the image has a copy of its own"
    _, again = apply(after, [quorum(1, 2, 3)], 3)
    assert not again.quorum_changed


def test_no_epoch_is_given_twice_after_a_recovery_by_force() -> None:
    """What the coordinators decided last may be lost, but not what a leader wrote under it."""
    before, _ = build(
        [feature_level(3), quorum(1, 2, 3), broker(1), topic(1), partition(1, 0), partition(1, 1)]
    )
    after, delta = apply(before, [quorum(1, cluster_epoch=2)], 2)
    assert len(delta.changed_partitions) == 2
    for was, now in zip(
        before.topics[topic_id(1)].partitions, after.topics[topic_id(1)].partitions, strict=True
    ):
        assert now.leader_epoch == was.leader_epoch + LOST_EPOCHS
        assert now.partition_epoch == was.partition_epoch + LOST_EPOCHS
        assert now.standing == was.standing
    _, again = apply(after, [quorum(1, 2, cluster_epoch=2)], 3)
    assert not again.changed_partitions


def test_many_changes_in_one_record_are_as_many_records() -> None:
    before, _ = build([feature_level(2), topic(1), *(partition(1, each) for each in range(4))])
    numbers = (0, 2, 3)
    one, compact = apply(before, [partition_changes(1, *numbers, leader=0, epoch=2)], 2)
    many, singly = apply(before, [partition_change(1, n, leader=0, epoch=2) for n in numbers], 2)
    assert one == many
    assert compact.changed_partitions == singly.changed_partitions
    assert one.leader_counts == {0: 3, 1: 1}


def columns_of_unequal_length() -> MetadataRecord:
    record = partition_changes(1, 0, 1, leader=0, epoch=2)
    del record.partition_changes.leader_epochs[1:]
    return record


def standing_that_is_not_there() -> MetadataRecord:
    record = partition_changes(1, 0, leader=0, epoch=2)
    record.partition_changes.standing_indexes[0] = 1
    return record


@pytest.mark.parametrize(
    "record",
    [
        columns_of_unequal_length(),
        standing_that_is_not_there(),
        partition_changes(1, 0, 0, leader=0, epoch=2),
        partition_changes(1, 0, 2, leader=0, epoch=2),
        partition_changes(1, 0, leader=0, epoch=3),
        partition_changes(9, 0, leader=0, epoch=2),
    ],
)
def test_many_changes_that_contradict_the_image_are_refused(record: MetadataRecord) -> None:
    before, _ = build([feature_level(2), topic(1), partition(1, 0), partition(1, 1)])
    with pytest.raises(InconsistentMetadataError, match="entry 2"):
        apply(before, [record], 2)


def test_many_changes_in_one_record_need_their_feature_level() -> None:
    before, _ = build([feature_level(1), topic(1), partition(1, 0)])
    with pytest.raises(InconsistentMetadataError, match="feature level 1"):
        apply(before, [partition_changes(1, 0, leader=0, epoch=2)], 2)


def member_without_directory() -> MetadataRecord:
    record = quorum(1)
    record.quorum.members[0].directory_id = b""
    return record


@pytest.mark.parametrize(
    "records",
    [
        [quorum(1, cluster_epoch=1)],
        [quorum(2, 1, cluster_epoch=2)],
        [quorum(1, 1, cluster_epoch=2)],
        [quorum(cluster_epoch=2)],
        [quorum(1, 2, cluster_epoch=2, voter=False)],
        [member_without_directory()],
        [feature_level(1)],
    ],
)
def test_a_quorum_that_cannot_be_is_refused(records: list[MetadataRecord]) -> None:
    before, _ = build([feature_level(2), quorum(1, 2, 3, cluster_epoch=2)])
    with pytest.raises(InconsistentMetadataError, match="entry 2"):
        apply(before, records, 2)


def test_there_is_no_quorum_below_its_feature_level() -> None:
    before, _ = build([feature_level(1)])
    with pytest.raises(InconsistentMetadataError, match="feature level 1"):
        apply(before, [quorum(1)], 2)


def unknown_field_of_a_member() -> MetadataRecord:
    record = quorum(1)
    record.quorum.members[0].MergeFromString(bytes([0xF8, 0x06, 1]))  # field 111 = 1
    return record


def unknown_record_type() -> MetadataRecord:
    return MetadataRecord.FromString(bytes([0xFA, 0x06, 0]))  # field 111, empty


def unknown_field() -> MetadataRecord:
    record = topic(1)
    record.topic.MergeFromString(bytes([0xF8, 0x06, 1]))  # field 111 = 1
    return record


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (unknown_record_type(), "type 111"),
        (unknown_field(), "holds a TopicRecord with field 111"),
        (unknown_field_of_a_member(), "holds a QuorumMember with field 111"),
        (MetadataRecord(), "no type"),
        (MetadataRecord(feature_level=FeatureLevelRecord(level=99)), "feature level 99"),
    ],
)
def test_what_this_process_does_not_know_stops_it(record: MetadataRecord, said: str) -> None:
    with pytest.raises(UnsupportedFeatureError, match=said):
        apply(ClusterImage(), [record], 1)
