from __future__ import annotations

import random

import pytest

from streamkeep_common.image import (
    ClusterImage,
    InconsistentMetadataError,
    SnapshotBuilder,
    apply,
    difference,
    to_records,
)
from streamkeep_common.image.persistent_map import FULL_SHARD, PersistentMap
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord, ProducerIdsRecord
from tests.unit.common.image.records import (
    broker,
    feature_level,
    fenced,
    partition,
    partition_change,
    quorum,
    setting,
    topic,
    topic_id,
    topic_removed,
)


def sample() -> ClusterImage:
    records = [feature_level(2), quorum(1, 2), broker(1), broker(2), fenced(2, is_fenced=False)]
    for number in range(1, 8):
        records += [topic(number), setting(number, "retention_ms", str(number))]
        records += [partition(number, each) for each in range(number)]
    records += [partition_change(3, 1, leader=0, epoch=2)]
    records += [MetadataRecord(producer_ids=ProducerIdsRecord(next_producer_id=2001))]
    return apply(ClusterImage(), records, 1)[0]


def test_a_snapshot_builds_the_same_image() -> None:
    image = sample()
    rebuilt, _ = apply(ClusterImage(), list(to_records(image)), image.index)
    assert rebuilt == image


def in_pieces(image: ClusterImage, size: int, similar: ClusterImage | None = None) -> ClusterImage:
    records = list(to_records(image))
    builder = SnapshotBuilder(similar)
    for at in range(0, len(records), size):
        builder.add(records[at : at + size])
    return builder.finish(image.index)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_snapshot_in_pieces_builds_the_same_image(size: int) -> None:
    image = sample()
    built = in_pieces(image, size)
    assert built == image
    assert list(to_records(built)) == list(to_records(image))


def test_a_snapshot_shares_what_is_as_it_was() -> None:
    before = sample()
    after, _ = apply(before, [partition_change(3, 1, leader=1, epoch=3), topic_removed(2)], 2)
    built = in_pieces(after, 5, similar=before)
    assert built == after
    assert built.topics[topic_id(5)] is before.topics[topic_id(5)]
    found = difference(before, built)
    assert [(each.topic_id, each.partition) for each in found.changed_partitions] == [(topic_id(3), 1)]
    assert [each.topic_id for each in found.removed_topics] == [topic_id(2)]


def test_a_snapshot_that_does_not_fit_is_refused() -> None:
    builder = SnapshotBuilder()
    builder.add([topic(1), partition(1, 0)])
    with pytest.raises(InconsistentMetadataError, match="snapshot, partition: topic-1 has 1 partitions"):
        builder.add([partition(1, 2)])


def test_equal_images_give_equal_records_whatever_their_history() -> None:
    records = [[topic(number), partition(number, 0)] for number in range(1, 600)]
    random.Random(7).shuffle(records)
    shuffled, _ = apply(ClusterImage(), [record for group in records for record in group], 1)
    records.sort(key=lambda group: group[0].topic.topic_id)
    ordered, _ = apply(ClusterImage(), [record for group in records for record in group], 1)
    assert list(to_records(shuffled)) == list(to_records(ordered))


def test_the_difference_of_two_images_is_the_delta_between_them() -> None:
    before = sample()
    records = [topic_removed(2), topic(9), partition(9, 0), partition_change(3, 1, leader=1, epoch=3)]
    records += [partition(1, 1), setting(5, "retention_ms", None), fenced(2, is_fenced=True), broker(3)]
    records += [quorum(1, 2, 3)]
    after, delta = apply(before, records, 2)

    found = difference(before, after)

    assert found.removed_topics == delta.removed_topics
    assert found.new_topics == delta.new_topics
    assert sorted(found.changed_partitions) == sorted(delta.changed_partitions)
    assert found.changed_settings == delta.changed_settings
    assert set(found.changed_brokers) == set(delta.changed_brokers)
    assert found.quorum_changed and delta.quorum_changed


def test_the_difference_of_rebuilt_images_is_nothing() -> None:
    image = sample()
    rebuilt, _ = apply(ClusterImage(), list(to_records(image)), image.index)
    found = difference(image, rebuilt)
    assert found.new_topics == found.removed_topics == found.changed_partitions == ()
    assert found.changed_settings == found.changed_brokers == ()


def test_a_directory_is_found_by_broker() -> None:
    found = sample().topics[topic_id(1)].partitions[0]
    assert found.directory_of(1) == found.directory_ids[0]
    assert found.directory_of(2) is None


def test_a_map_edit_leaves_its_base_and_the_other_shards_alone() -> None:
    base: PersistentMap[str, int] = PersistentMap()
    edit = base.edit()
    for number in range(1000):
        edit.set(str(number), number)
    full = edit.freeze()

    edit = full.edit()
    edit.set("5", 55)
    edit.remove("7")
    changed = edit.freeze()

    assert len(base) == 0
    assert (len(full), full["5"], full["7"]) == (1000, 5, 7)
    assert (len(changed), changed["5"], changed.get("7")) == (999, 55, None)
    assert list(changed.unshared(full)) == [("5", 55, 5)]
    assert list(full.unshared(changed)) in ([("5", 5, 55), ("7", 7, None)], [("7", 7, None), ("5", 5, 55)])
    assert dict(changed.items()) == {**{str(n): n for n in range(1000) if n != 7}, "5": 55}


def test_a_small_map_gets_more_shards_as_it_grows() -> None:
    few: PersistentMap[str, int] = PersistentMap(1)
    edit = few.edit()
    for number in range(5 * FULL_SHARD):
        edit.set(str(number), number)
    grown = edit.freeze()
    assert dict(grown.items()) == {str(number): number for number in range(5 * FULL_SHARD)}
    edit = grown.edit()
    for number in range(5 * FULL_SHARD):
        edit.remove(str(number))
    assert len(edit.freeze()) == len(few) == 0


def test_an_edit_without_changes_is_the_same_map() -> None:
    base: PersistentMap[bytes, int] = PersistentMap()
    assert base.edit().freeze() is base
