"""Whatever commands come: the log rebuilds the image, also through a snapshot, and the rules hold."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkeep_common.errors import StreamkeepError
from streamkeep_common.image import (
    ClusterImage,
    ImageDelta,
    PartitionImage,
    SnapshotBuilder,
    TopicImage,
    apply,
    difference,
    to_records,
)
from streamkeep_coordinator.metadata import Decision
from streamkeep_coordinator.metadata.cluster import found_cluster
from streamkeep_coordinator.metadata.health import Health, HealthCounter, health_of
from streamkeep_coordinator.metadata.topic_settings import min_insync_replicas
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord, QuorumMember, QuorumRecord
from tests.property.metadata_steps import BROKER_STEPS, REPLICA_STEPS, TOPIC_STEPS, Step, command
from tests.property.placement_steps import (
    PLACEMENT_STEPS,
    check_move,
    check_nothing_is_lost,
    is_dropped,
)
from tests.unit.common.image.records import first_entry_at_level_1

small = st.integers(0, 5)
kinds = st.one_of(
    *(st.sampled_from(each) for each in (BROKER_STEPS, TOPIC_STEPS, REPLICA_STEPS, PLACEMENT_STEPS))
)
steps = st.lists(st.tuples(kinds, small, small, small), max_size=60)

# Without brokers and topics most commands would be refused.
BEGINNING: list[Step] = [
    ("begin", 0, 0, 0),
    *(("register", broker, 0, 0) for broker in range(4)),
    *(("unfence", broker, 0, 0) for broker in range(4)),
    ("create", 0, 3, 3),
    ("create", 1, 2, 1),
]


def check_partition(image: ClusterImage, topic: TopicImage, partition: PartitionImage) -> None:
    assert set(partition.isr) <= set(partition.replicas)
    assert set(partition.elr) <= set(partition.replicas) - set(partition.isr)
    if image.feature_level >= 3 or partition.last_members:
        assert bool(partition.last_members) == (not partition.isr and not partition.elr)
    assert set(partition.last_members) <= set(partition.replicas)
    if partition.elr:
        assert len(partition.isr) < partition.required_isr(min_insync_replicas(topic))
    assert (partition.leader in partition.isr) if partition.leader else not partition.isr
    for member in partition.isr:
        broker = image.brokers[member]
        assert not broker.fenced
        assert partition.directory_of(member) in broker.registration.directory_ids
    assert len(partition.directory_ids) == len(partition.replicas) == len(set(partition.replicas))
    check_move(partition)


def check_eligible(image: ClusterImage) -> None:
    """An emptied disk is never elected."""
    for topic in image.topics.values():
        for partition in topic.partitions:
            for member in partition.elr:
                assert partition.directory_of(member) in image.brokers[member].directory_ids


def check_image(image: ClusterImage) -> None:
    assert len(image.topics) == len(image.topic_ids)
    for topic in image.topics.values():
        for partition in topic.partitions:
            check_partition(image, topic, partition)
    partitions = [each for topic in image.topics.values() for each in topic.partitions]
    check_counts(image, partitions)


def check_counts(image: ClusterImage, partitions: list[PartitionImage]) -> None:
    """All that is kept along equals a count from nothing."""
    assert image.leader_counts == Counter(each.leader for each in partitions)
    assert image.replica_counts == Counter(member for each in partitions for member in each.replicas)
    assert image.directory_counts == Counter(each_id for each in partitions for each_id in each.directory_ids)
    hosted: dict[int, Counter[bytes]] = {}
    for each in partitions:
        for member in each.replicas:
            hosted.setdefault(member, Counter())[each.topic_id] += 1
    assert image.hosted == hosted


def check_health(image: ClusterImage, counter: HealthCounter) -> None:
    """What is counted from one image to the next equals a count from nothing."""
    counted = [health_of(topic) for topic in image.topics.values()]
    assert counter.of(image) == Health(*map(sum, zip(Health(), *counted, strict=True)))


def check_delta(delta: ImageDelta) -> None:
    """What `apply` says changed is what a comparison finds."""
    found = difference(delta.before, delta.after)
    assert sorted(found.changed_partitions) == sorted(delta.changed_partitions)
    assert ids(found.new_topics) == ids(delta.new_topics)
    assert ids(found.removed_topics) == ids(delta.removed_topics)
    assert sorted(found.changed_settings) == sorted(delta.changed_settings)
    assert set(found.changed_brokers) <= set(delta.changed_brokers)
    assert found.quorum_changed == delta.quorum_changed


def check_progress(before: ClusterImage, after: ClusterImage) -> None:
    for topic in after.topics.values():
        for new in topic.partitions:
            old = before.partition(topic.topic_id, new.partition)
            if old is not None and old != new:
                assert new.partition_epoch == old.partition_epoch + 1
                assert new.leader_epoch - old.leader_epoch in (0, 1)
                if new.leader != old.leader or is_dropped(old, new):
                    assert new.leader_epoch > old.leader_epoch


def check_new_incarnations(before: ClusterImage, after: ClusterImage) -> None:
    for broker in after.brokers.values():
        known = before.brokers.get(broker.broker_id)
        if known is None or known.broker_epoch == broker.broker_epoch:
            continue
        for topic in before.topics.values():
            for old in topic.partitions:
                if old.leader == broker.broker_id:
                    new = after.partition(topic.topic_id, old.partition)
                    assert new is not None
                    assert new.leader_epoch > old.leader_epoch


@pytest.mark.parametrize("level", [1, 2, 3])
@settings(max_examples=120, deadline=None)
@given(steps=steps, snapshot_at=st.integers(0, 70), piece=st.integers(1, 20))
def test_any_commands_leave_a_valid_image_that_its_log_rebuilds(
    *,
    level: int,
    steps: list[Step],
    snapshot_at: int,
    piece: int,
) -> None:
    image = ClusterImage()
    log: list[tuple[MetadataRecord, ...]] = []
    snapshot = image
    counter = HealthCounter()
    for at, step in enumerate([*BEGINNING, *steps], start=1):
        try:
            decision = begin(level) if at == 1 else command(step, at, image)(image)
        except StreamkeepError:
            continue
        if decision.records:
            before = image
            image, delta = apply(before, decision.records, before.index + 1)
            log.append(decision.records)
            check_image(image)
            check_health(image, counter)
            if level == 3:
                check_eligible(image)
            check_progress(before, image)
            check_new_incarnations(before, image)
            check_delta(delta)
            if step[0] in PLACEMENT_STEPS:
                check_nothing_is_lost(before, image)
        if at == snapshot_at:
            snapshot = image
    assert rebuilt(ClusterImage(), log) == image
    restored = loaded(snapshot, piece, similar=ClusterImage())
    assert restored == snapshot
    assert rebuilt(restored, log[snapshot.index :]) == image
    again = loaded(image, piece, similar=snapshot)
    assert again == image
    check_same(difference(snapshot, again), difference(snapshot, image))


def begin(level: int) -> Decision[None]:
    if level == 1:
        return Decision(first_entry_at_level_1("c"), None)
    member = QuorumMember(
        coordinator_id=1, directory_id=bytes(16), voter=True, min_feature_level=1, max_feature_level=3
    )
    founded = found_cluster("c", QuorumRecord(cluster_epoch=1, members=[member]))
    founded.records[1].feature_level.level = level
    return founded


def loaded(image: ClusterImage, piece: int, *, similar: ClusterImage) -> ClusterImage:
    """The image through a snapshot that comes in pieces, beside an image that the receiver had before."""
    builder = SnapshotBuilder(similar)
    records = to_records(image)
    while some := list(islice(records, piece)):
        builder.add(some)
    return builder.finish(image.index)


def check_same(one: ImageDelta, other: ImageDelta) -> None:
    assert sorted(one.changed_partitions) == sorted(other.changed_partitions)
    assert ids(one.new_topics) == ids(other.new_topics)
    assert ids(one.removed_topics) == ids(other.removed_topics)
    assert sorted(one.changed_settings) == sorted(other.changed_settings)
    assert one.changed_brokers == other.changed_brokers


def ids(topics: tuple[TopicImage, ...]) -> list[bytes]:
    return sorted(topic.topic_id for topic in topics)


def rebuilt(image: ClusterImage, log: list[tuple[MetadataRecord, ...]]) -> ClusterImage:
    for records in log:
        image, _ = apply(image, records, image.index + 1)
    return image
