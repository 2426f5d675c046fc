"""What this build of Streamkeep understands of the metadata log.

A record type or field that is not known was written by a newer process after the feature level was
raised. Skipping it would make this process disagree with the others in silence, so it stops.
"""

from __future__ import annotations

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from streamkeep_common.errors import UnsupportedFeatureError
from streamkeep_proto.v1.metadata_pb2 import DESCRIPTOR, MetadataRecord

MIN_FEATURE_LEVEL = 1
MAX_FEATURE_LEVEL = 3

QUORUM_FEATURE_LEVEL = 2
"""From this level on the log holds QuorumRecord: who keeps it."""

COMPACT_FEATURE_LEVEL = 2
"""From this level on partitions change by PartitionChangesRecord, many in one."""

REPLICATION_FEATURE_LEVEL = 3
"""From this level on partitions have several replicas, which move, and brokers can be removed."""

FEATURE_LEVELS = {
    1: "topics, settings, brokers and producer ids, kept by one coordinator",
    QUORUM_FEATURE_LEVEL: "a quorum of coordinators whose members change; smaller changes of partitions",
    REPLICATION_FEATURE_LEVEL: "topics with several replicas that move; brokers that are drained and removed",
}
"""What each level that this build knows brings, for people."""

_NESTING = frozenset(
    name
    for name, message in DESCRIPTOR.message_types_by_name.items()
    if any(field.message_type is not None for field in message.fields)
)


def check_known(record: MetadataRecord, where: str) -> str:
    """The record's kind (its name in the oneof). UnsupportedFeatureError if any part of it is not known.

    `where` is for the message: the entry or the snapshot that holds it.
    """
    kind = record.WhichOneof("record")
    _check_fields(record, where, "type")
    if kind is None:
        raise UnsupportedFeatureError(f"{where} holds a record of no type")
    _check_all_fields(getattr(record, kind), where)
    return str(kind)


def check_feature_level(level: int) -> None:
    """UnsupportedFeatureError unless this build can work at that feature level."""
    if not MIN_FEATURE_LEVEL <= level <= MAX_FEATURE_LEVEL:
        raise UnsupportedFeatureError(
            f"the cluster works at feature level {level}; this process supports "
            f"{MIN_FEATURE_LEVEL} to {MAX_FEATURE_LEVEL}"
        )


def _check_all_fields(message: Message, where: str) -> None:
    """The message and those inside it."""
    _check_fields(message, where, "field")
    if message.DESCRIPTOR.name not in _NESTING:
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else (value,):
                _check_all_fields(inner, where)


def _check_fields(message: Message, where: str, noun: str) -> None:
    unknown = UnknownFieldSet(message)
    if len(unknown):
        raise UnsupportedFeatureError(
            f"{where} holds a {message.DESCRIPTOR.name} with {noun} {unknown[0].field_number}, "
            "which this process does not know"
        )
