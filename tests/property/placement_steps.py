"""Commands of the metadata machine about where replicas are, out of small numbers; and what must hold."""

from __future__ import annotations

from functools import partial

from streamkeep_common.image import ClusterImage, PartitionImage
from streamkeep_coordinator.metadata import Command
from streamkeep_coordinator.metadata.drain import drain_broker, remove_broker
from streamkeep_coordinator.metadata.plans import reassign_partitions
from streamkeep_proto.v1.coordinator_pb2 import (
    CancelPlan,
    DrainBrokerRequest,
    EmptyBrokerPlan,
    ExplicitPlan,
    PartitionTarget,
    ReassignPartitionsRequest,
    RemoveBrokerRequest,
    ReplicationFactorPlan,
)

PLACEMENT_STEPS = ("move", "move", "move", "directory", "empty", "resize", "cancel", "drain", "remove")


def placement_command(kind: str, one: int, two: int, three: int, image: ClusterImage) -> Command[object]:
    broker_id = one % 4 + 1
    if kind == "drain":
        return partial(drain_broker, request=DrainBrokerRequest(broker_id=broker_id, draining=three == 0))
    if kind == "remove":
        return partial(remove_broker, request=RemoveBrokerRequest(broker_id=broker_id))
    return partial(reassign_partitions, request=_plan(kind, one, two, three, image))


def _plan(kind: str, one: int, two: int, three: int, image: ClusterImage) -> ReassignPartitionsRequest:
    name = f"t{one}"
    if kind == "empty":
        return ReassignPartitionsRequest(empty_broker=EmptyBrokerPlan(broker_id=one % 4 + 1))
    if kind == "resize":
        plan = ReplicationFactorPlan(topic=name, replication_factor=three)
        return ReassignPartitionsRequest(replication_factor=plan)
    if kind == "cancel":
        return ReassignPartitionsRequest(cancel=CancelPlan())
    replicas = [(two + number) % 4 + 1 for number in range(three)]
    directories: list[bytes] = []
    topic = image.topic(name)
    if kind == "directory" and topic is not None:
        replicas = list(topic.partitions[0].target_replicas)
        directories = [
            bytes(14) + bytes([broker_id, two % 3]) if number == three % len(replicas) else b""
            for number, broker_id in enumerate(replicas)
        ]
    target = PartitionTarget(topic=name, replicas=replicas, directory_ids=directories)
    return ReassignPartitionsRequest(explicit=ExplicitPlan(partitions=[target]))


def check_move(partition: PartitionImage) -> None:
    """What a move adds and removes are replicas, and not all of them go."""
    adding, removing = set(partition.adding_replicas), set(partition.removing_replicas)
    assert adding <= set(partition.replicas) and removing <= set(partition.replicas)
    assert not adding & removing
    assert partition.target_replicas
    assert len(partition.replicas) > len(adding)


def is_dropped(old: PartitionImage, new: PartitionImage) -> bool:
    """A copy that was there is not any more."""
    return any(new.directory_of(each) != old.directory_of(each) for each in old.replicas)


def check_nothing_is_lost(before: ClusterImage, after: ClusterImage) -> None:
    """No move leaves a partition without a copy, the same as before, that has all that was acknowledged."""
    for topic in before.topics.values():
        for old in topic.partitions:
            new = after.partition(topic.topic_id, old.partition)
            assert new is not None
            same = {each for each in old.replicas if new.directory_of(each) == old.directory_of(each)}
            assert _with_data(new) <= _with_data(old)
            assert not _with_data(old) or _with_data(new) & same
            assert not old.leader or new.leader


def _with_data(partition: PartitionImage) -> set[int]:
    return {*partition.isr, *partition.elr, *partition.last_members}
