"""Commands of the metadata machine about brokers, topics and in-sync replicas, out of small numbers."""

from __future__ import annotations

from functools import partial

from streamkeep_common.image import ClusterImage, PartitionImage
from streamkeep_coordinator.metadata import Command, brokers, create
from streamkeep_coordinator.metadata.alter_partitions import alter_partitions
from streamkeep_coordinator.metadata.change import alter_topic_settings, delete_topics
from streamkeep_coordinator.metadata.elect_leaders import elect_leaders
from streamkeep_coordinator.metadata.last_resort import LastResort, elect_winners
from streamkeep_coordinator.metadata.registration import register_broker
from streamkeep_coordinator.metadata.relocation import relocate_replicas
from streamkeep_coordinator.metadata.replica_reports import report_replicas
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
from tests.property.placement_steps import PLACEMENT_STEPS, placement_command

Step = tuple[str, int, int, int]

TOPIC_STEPS = ("create", "create", "delete", "grow", "alter", "upgrade")
BROKER_STEPS = (
    *("register", "unfence", "unfence", "unfence", "fence"),
    *("directories", "leave", "relocate", "ids"),
)
REPLICA_STEPS = ("isr", "isr", "damaged", "last", "preferred", "unclean")


def command(step: Step, at: int, image: ClusterImage) -> Command[object]:
    """The command of a step; `at` is its number in the log."""
    kind = step[0]
    if kind in REPLICA_STEPS:
        return _replica_command(step, image)
    if kind in PLACEMENT_STEPS:
        return placement_command(*step, image)
    return _topic_command(step, at) if kind in TOPIC_STEPS else _broker_command(step, image)


def _topic_command(step: Step, at: int) -> Command[object]:
    kind, one, two, three = step
    name = f"t{one}"
    if kind == "upgrade":
        return partial(upgrade_features, request=UpgradeFeaturesRequest())
    if kind == "delete":
        return partial(delete_topics, request=DeleteTopicsRequest(names=[name]))
    if kind == "grow":
        item = PartitionCount(name=name, partitions=two + three)
        return partial(create.add_partitions, request=AddPartitionsRequest(topics=[item]))
    if kind == "alter":
        change = AlterTopicSettings(name=name, set=_settings(two, three))
        return partial(alter_topic_settings, request=AlterTopicSettingsRequest(topics=[change]))
    chosen = bytes(15) + bytes([two + 1]) if three == 2 else b""
    new = NewTopic(name=name, partitions=two, replication_factor=three, topic_id=chosen)
    return partial(
        create.create_topics,
        request=CreateTopicsRequest(topics=[new]),
        topic_ids=[(1000 + at).to_bytes(16, "big")],
        defaults=create.TopicDefaults(),
    )


def _settings(two: int, three: int) -> dict[str, str]:
    if three < 3:
        return {"min_insync_replicas": str(two + 1)}
    return {3: {"durability": "os"}, 4: {"unclean_leader_election": "on"}}.get(three, {})


def _broker_command(step: Step, image: ClusterImage) -> Command[object]:
    kind, one, two, three = step
    broker_id = one % 4 + 1
    if kind == "register":
        return partial(register_broker, request=_registration(broker_id, two, three))
    key = {"broker_id": broker_id, "broker_epoch": _epoch_of(image, broker_id) or 1}
    if kind == "directories":
        lists = ([_directory(broker_id, two)] if three == each else [] for each in range(3))
        offline, stalled, full = lists
        return partial(brokers.report_directories, offline=offline, stalled=stalled, full=full, **key)
    act = {
        "unfence": brokers.unfence_broker,
        "fence": brokers.fence_broker,
        "leave": brokers.release_replicas,
        "relocate": relocate_replicas,
        "ids": brokers.allocate_producer_ids,
    }[kind]
    return partial(act, **key)


def _registration(broker_id: int, two: int, three: int) -> RegisterBroker:
    return RegisterBroker(
        broker_id=broker_id,
        incarnation_id=bytes(15) + bytes([two]),
        address=f"host-{broker_id}:7201",
        rack=f"rack-{broker_id % 2}",
        directory_ids=[_directory(broker_id, number) for number in range(three % 2, 2 + three // 2)],
        min_feature_level=1,
        max_feature_level=3,
        boot_id=f"boot-{two % 2}",
        clean_start=three == 5,
    )


def _directory(broker_id: int, number: int) -> bytes:
    return bytes(14) + bytes([broker_id, number])


def _replica_command(step: Step, image: ClusterImage) -> Command[object]:
    """Of one partition of a topic, by its leader or by some broker."""
    kind, one, two, three = step
    name = f"t{one}"
    topic = image.topic(name)
    partition = topic.partitions[two % len(topic.partitions)] if topic is not None else None
    if kind in ("preferred", "unclean") or partition is None:
        item = TopicPartitionName(topic=name, partition=two)
        election = ElectLeadersRequest(kind=UNCLEAN if kind == "unclean" else PREFERRED, partitions=[item])
        return partial(elect_leaders, request=election)
    if kind == "isr":
        request = _isr_request(image, partition, three)
        return partial(alter_partitions, request=request, leaving=[three] if two == 5 else [])
    if kind == "last":
        return partial(elect_winners, winners=_collected(image, partition).winners(image))
    broker_id = partition.replicas[three % len(partition.replicas)]
    damaged = _report(partition)
    damaged.damaged = True
    reports = ReportReplicasRequest(
        broker_id=broker_id, broker_epoch=_epoch_of(image, broker_id), replicas=[damaged]
    )
    return partial(report_replicas, request=reports)


def _isr_request(image: ClusterImage, partition: PartitionImage, three: int) -> AlterPartitionsRequest:
    members = {partition.leader, *partition.replicas[: three % 4]} - {0}
    change = AlterPartition(
        topic_id=partition.topic_id,
        partition=partition.partition,
        leader_epoch=partition.leader_epoch,
        partition_epoch=partition.partition_epoch,
        isr=[InSyncMember(broker_id=each, broker_epoch=_epoch_of(image, each)) for each in sorted(members)],
    )
    return AlterPartitionsRequest(
        broker_id=partition.leader,
        broker_epoch=_epoch_of(image, partition.leader),
        partitions=[change],
    )


def _collected(image: ClusterImage, partition: PartitionImage) -> LastResort:
    """What the last members say of their logs."""
    collected = LastResort()
    for member in partition.last_members:
        report = _report(partition)
        report.log_end_offset = member
        collected.hear(member, _epoch_of(image, member), report)
    return collected


def _report(partition: PartitionImage) -> ReplicaReport:
    return ReplicaReport(
        topic_id=partition.topic_id,
        partition=partition.partition,
        partition_epoch=partition.partition_epoch,
    )


def _epoch_of(image: ClusterImage, broker_id: int) -> int:
    broker = image.brokers.get(broker_id)
    return 0 if broker is None else broker.broker_epoch
