"""Whatever commands come: the log rebuilds the image, also through a snapshot, and the rules hold."""

from __future__ import annotations

from collections import Counter
from functools import partial
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
from streamkeep_coordinator.metadata import Command, Decision, brokers, create
from streamkeep_coordinator.metadata.alter_partitions import alter_partitions
from streamkeep_coordinator.metadata.change import alter_topic_settings, delete_topics
from streamkeep_coordinator.metadata.cluster import found_cluster
from streamkeep_coordinator.metadata.elect_leaders import elect_leaders
from streamkeep_coordinator.metadata.health import Health, HealthCounter, health_of
from streamkeep_coordinator.metadata.last_resort import LastResort, elect_winners
from streamkeep_coordinator.metadata.registration import register_broker
from streamkeep_coordinator.metadata.relocation import relocate_replicas
from streamkeep_coordinator.metadata.replica_reports import report_replicas
from streamkeep_coordinator.metadata.topic_settings import min_insync_replicas
from streamkeep_coordinator.metadata.upgrade import upgrade_features
from streamkeep_proto.v1.coordinator_pb2 import (
    PREFERRED,
    UNCLEAN,
    AddPartitionsRequest,
    AlterPartition,
    AlterPartitionsRequest,
    AlterTopicSettings,
    AlterTopicSettingsRequest,
    CreateTopicsRequest,
    DeleteTopicsRequest,
    ElectLeadersRequest,
    InSyncMember,
    NewTopic,
    PartitionCount,
    RegisterBroker,
    ReplicaReport,
    ReportReplicasRequest,
    TopicPartitionName,
    UpgradeFeaturesRequest,
)
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord, QuorumMember, QuorumRecord
from tests.property.placement_steps import (
    PLACEMENT_STEPS,
    check_move,
    check_nothing_is_lost,
    is_dropped,
    placement_command,
)
from tests.unit.common.image.records import first_entry_at_level_1

Step = tuple[str, int, int, int]

topic_steps = st.sampled_from(["create", "create", "delete", "grow", "alter", "ids", "upgrade"])
broker_steps = st.sampled_from(
    ["register", "unfence", "unfence", "unfence", "fence", "directories", "leave", "relocate"]
)
replica_steps = st.sampled_from(["isr", "isr", "damaged", "last", "preferred", "unclean"])
small = st.integers(0, 5)
placement_steps = st.sampled_from(PLACEMENT_STEPS)
kinds = st.one_of(broker_steps, topic_steps, replica_steps, placement_steps)
steps = st.lists(st.tuples(kinds, small, small, small), max_size=60)

# Without brokers and topics most commands would be refused.
BEGINNING: list[Step] = [
    ("begin", 0, 0, 0),
    *(("register", broker, 0, 0) for broker in range(4)),
    *(("unfence", broker, 0, 0) for broker in range(4)),
    ("create", 0, 3, 3),
    ("create", 1, 2, 1),
]


def directory(broker_id: int, number: int) -> bytes:
    return bytes(14) + bytes([broker_id, number])


def command(step: Step, at: int, image: ClusterImage) -> Command[object]:
    kind, one, two, three = step
    broker_id = one % 4 + 1
    name = f"t{one}"
    broker = image.brokers.get(broker_id)
    key = {"broker_id": broker_id, "broker_epoch": broker.broker_epoch if broker else 1}
    if kind == "register":
        request = RegisterBroker(
            broker_id=broker_id,
            incarnation_id=bytes(15) + bytes([two]),
            address=f"host-{broker_id}:7201",
            rack=f"rack-{broker_id % 2}",
            directory_ids=[directory(broker_id, number) for number in range(three % 2, 2 + three // 2)],
            min_feature_level=1,
            max_feature_level=3,
            boot_id=f"boot-{two % 2}",
            clean_start=three == 5,
        )
        return partial(register_broker, request=request)
    if kind == "upgrade":
        return partial(upgrade_features, request=UpgradeFeaturesRequest())
    if kind == "create":
        chosen = bytes(15) + bytes([two + 1]) if three == 2 else b""
        new = NewTopic(name=name, partitions=two, replication_factor=three, topic_id=chosen)
        return partial(
            create.create_topics,
            request=CreateTopicsRequest(topics=[new]),
            topic_ids=[(1000 + at).to_bytes(16, "big")],
            defaults=create.TopicDefaults(),
        )
    if kind == "delete":
        return partial(delete_topics, request=DeleteTopicsRequest(names=[name]))
    if kind == "grow":
        item = PartitionCount(name=name, partitions=two + three)
        return partial(create.add_partitions, request=AddPartitionsRequest(topics=[item]))
    if kind == "alter":
        values = {"min_insync_replicas": str(two + 1)} if three < 3 else {}
        values |= (
            {"durability": "os"} if three == 3 else {"unclean_leader_election": "on"} if three == 4 else {}
        )
        change = AlterTopicSettings(name=name, set=values)
        return partial(alter_topic_settings, request=AlterTopicSettingsRequest(topics=[change]))
    if kind == "directories":
        lists = ([directory(broker_id, two)] if three == each else [] for each in range(3))
        offline, stalled, full = lists
        return partial(brokers.report_directories, offline=offline, stalled=stalled, full=full, **key)
    if kind in REPLICA_STEPS:
        return replica_command(step, image)
    if kind in PLACEMENT_STEPS:
        return placement_command(*step, image)
    act = {
        "unfence": brokers.unfence_broker,
        "fence": brokers.fence_broker,
        "leave": brokers.release_replicas,
        "relocate": relocate_replicas,
        "ids": brokers.allocate_producer_ids,
    }[kind]
    return partial(act, **key)


REPLICA_STEPS = ("isr", "damaged", "last", "preferred", "unclean")


def replica_command(step: Step, image: ClusterImage) -> Command[object]:
    """Of the first partition of a topic, by its leader or by some broker."""
    kind, one, two, three = step
    name = f"t{one}"
    topic = image.topic(name)
    partition = topic.partitions[two % len(topic.partitions)] if topic is not None else None
    if kind in ("preferred", "unclean") or partition is None:
        item = TopicPartitionName(topic=name, partition=two)
        election = ElectLeadersRequest(kind=UNCLEAN if kind == "unclean" else PREFERRED, partitions=[item])
        return partial(elect_leaders, request=election)
    key = {"topic_id": partition.topic_id, "partition": partition.partition}
    if kind == "isr":
        members = {partition.leader, *partition.replicas[: three % 4]} - {0}
        item_of_isr = AlterPartition(
            **key,
            leader_epoch=partition.leader_epoch,
            partition_epoch=partition.partition_epoch,
            isr=[
                InSyncMember(broker_id=each, broker_epoch=epoch_of(image, each)) for each in sorted(members)
            ],
        )
        return partial(
            alter_partitions,
            request=AlterPartitionsRequest(
                broker_id=partition.leader,
                broker_epoch=epoch_of(image, partition.leader),
                partitions=[item_of_isr],
            ),
            leaving=[three] if two == 5 else [],
        )
    if kind == "last":
        collected = LastResort()
        for member in partition.last_members:
            report = ReplicaReport(**key, partition_epoch=partition.partition_epoch, log_end_offset=member)
            collected.hear(member, epoch_of(image, member), report)
        return partial(elect_winners, winners=collected.winners(image))
    broker_id = partition.replicas[three % len(partition.replicas)]
    damaged = ReplicaReport(**key, partition_epoch=partition.partition_epoch, damaged=True)
    reports = ReportReplicasRequest(
        broker_id=broker_id, broker_epoch=epoch_of(image, broker_id), replicas=[damaged]
    )
    return partial(report_replicas, request=reports)


def epoch_of(image: ClusterImage, broker_id: int) -> int:
    broker = image.brokers.get(broker_id)
    return 0 if broker is None else broker.broker_epoch


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
