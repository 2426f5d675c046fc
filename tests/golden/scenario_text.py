"""Between the words of a scenario script and what the metadata machine takes and gives."""

from __future__ import annotations

from streamkeep_common.image import PartitionImage
from streamkeep_proto.v1.coordinator_pb2 import (
    AlteredPartition,
    ElectionOutcome,
    ReportedReplica,
    TopicOutcome,
)
from streamkeep_proto.v1.errors_pb2 import ErrorCode
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord


def padded(text: str) -> bytes:
    return text.encode().ljust(16, b".")


def short(identifier: bytes) -> str:
    return identifier.decode().rstrip(".")


def quorum_of(members: list[str], cluster_epoch: int = 1) -> QuorumRecord:
    """A member is `id:directory:voter|learner:lowest-highest`; what is left out is usual."""
    record = QuorumRecord(cluster_epoch=cluster_epoch)
    for member in members:
        given = dict(enumerate(member.split(":")))
        low, _, high = given.get(3, "1-3").partition("-")
        record.members.add(
            coordinator_id=int(given[0]),
            directory_id=padded(given.get(1, f"disk-{given[0]}")),
            address=f"host-{given[0]}:7101",
            voter=given.get(2, "voter") == "voter",
            min_feature_level=int(low),
            max_feature_level=int(high),
        )
    return record


def member_text(member: QuorumMember) -> str:
    return (
        f"{member.coordinator_id}:{short(member.directory_id)}:{'voter' if member.voter else 'learner'}"
        f":{member.min_feature_level}-{member.max_feature_level}"
    )


def partition_text(partition: PartitionImage) -> str:
    directories = ",".join(short(each) for each in partition.directory_ids)
    return (
        f"{partition.partition} replicas={_ids(partition.replicas)} dirs={directories} "
        f"isr={_ids(partition.isr)} elr={_ids(partition.elr)} leader={partition.leader} "
        f"leader_epoch={partition.leader_epoch} partition_epoch={partition.partition_epoch}"
        + "".join(
            f" {name}={_ids(ids)}"
            for name, ids in (
                ("adding", partition.adding_replicas),
                ("removing", partition.removing_replicas),
                ("last", partition.last_members),
            )
            if ids
        )
    )


def _ids(ids: tuple[int, ...]) -> str:
    return ",".join(map(str, ids)) or "-"


def value_text(value: object) -> str:
    if isinstance(value, QuorumMember):
        return member_text(value)
    if isinstance(value, bytes):
        return short(value)
    if isinstance(value, str | int):
        return str(value)
    return ",".join(map(value_text, value))  # type: ignore[call-overload]


def outcome_text(outcome: TopicOutcome | AlteredPartition | ReportedReplica | ElectionOutcome) -> str:
    if isinstance(outcome, TopicOutcome):
        return _topic_outcome(outcome)
    if outcome.HasField("error"):
        return f"{ErrorCode.Name(outcome.error.code)}: {outcome.error.message}"
    if isinstance(outcome, AlteredPartition):
        return f"partition epoch {outcome.partition_epoch}"
    if isinstance(outcome, ReportedReplica):
        return "may copy anew" if outcome.may_copy_anew else "heard"
    return f"from {outcome.from_leader} to {outcome.to_leader}"


def _topic_outcome(outcome: TopicOutcome) -> str:
    if outcome.HasField("error"):
        return f"{outcome.name} {ErrorCode.Name(outcome.error.code)}: {outcome.error.message}"
    return (
        f"{outcome.name} partitions={outcome.partitions} replicas={outcome.replication_factor} "
        f"min_isr={outcome.min_insync_replicas}"
    )
