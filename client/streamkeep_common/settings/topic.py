"""The settings of a topic. They are kept by the coordinators and can be changed while the topic is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from streamkeep_common.limits import GIB, KIB, MAX_BATCH_BYTES, MAX_REPLICATION_FACTOR, MAX_SEGMENT_BYTES
from streamkeep_common.settings.table import SettingsTable
from streamkeep_common.settings.types import Choice, Integer, duration, size

_LONGEST_MS = 2**53
_LARGEST_BYTES = 2**53
_FOR_EVER = ((-1, "for ever"),)
_NO_BOUND = ((-1, "no bound"),)

TOPIC_SETTINGS = SettingsTable(
    "topic",
    "Topic settings",
    [
        (
            "retention_ms",
            duration(0, _LONGEST_MS, special=_FOR_EVER),
            "604800000",
            "A segment is deleted when its youngest record is older than this. Default 7 days.",
        ),
        (
            "retention_bytes",
            size(0, _LARGEST_BYTES, special=_NO_BOUND),
            "-1",
            "The oldest segments of a partition are deleted while the rest still has this size.",
        ),
        (
            "segment_bytes",
            size(4 * KIB, MAX_SEGMENT_BYTES),
            str(GIB),
            "A partition starts a new segment file before one grows past this size.",
        ),
        (
            "segment_ms",
            duration(1, _LONGEST_MS),
            "604800000",
            "A partition starts a new segment file when the first record of one is this old. Default 7 days.",
        ),
        (
            "max_batch_bytes",
            size(1 * KIB, MAX_BATCH_BYTES),
            str(MAX_BATCH_BYTES),
            "Largest batch that is accepted, as it is stored (header included, compressed if it is).",
        ),
        (
            "durability",
            Choice(("fsync", "os")),
            "fsync",
            "What a replica does before it acknowledges: `fsync` flushes to the disk, so that a power cut "
            "loses nothing; `os` hands over to the operating system, as Kafka does.",
        ),
        (
            "min_insync_replicas",
            Integer(1, MAX_REPLICATION_FACTOR),
            "2",
            "Replicas that must have a record before it is acknowledged; never more than the topic has.",
        ),
        (
            "unclean_leader_election",
            Choice(("off", "on")),
            "off",
            "Whether a replica that may lack acknowledged records may lead when nobody else is left: `on` "
            "prefers going on to losing nothing.",
        ),
        (
            "catch_up_rate_bytes",
            size(1, _LARGEST_BYTES, special=_NO_BOUND),
            "-1",
            "Bytes a second of each partition that its leader sends at most to a replica that is far behind.",
        ),
        (
            "timestamp_type",
            Choice(("create", "append")),
            "create",
            "Whose time a record has: the producer's (`create`), or the leader's when it appends (`append`).",
        ),
        (
            "timestamp_before_max_ms",
            duration(0, _LONGEST_MS, special=_NO_BOUND),
            "-1",
            "How far a record's timestamp may lie before the broker's clock; `create` only.",
        ),
        (
            "timestamp_after_max_ms",
            duration(0, _LONGEST_MS, special=_NO_BOUND),
            "3600000",
            "How far a record's timestamp may lie after the broker's clock; `create` only. Default 1 hour.",
        ),
        (
            "min_free_bytes",
            size(0, _LARGEST_BYTES, special=((-1, "the broker's setting"),)),
            "-1",
            "Appends are refused while the file system has less free space than this.",
        ),
        (
            "index_interval_bytes",
            size(1, MAX_SEGMENT_BYTES),
            "4096",
            "Bytes of log between two entries of the offset and time indexes.",
        ),
        (
            "cleanup_policy",
            Choice(("delete",)),
            "delete",
            "What happens to old records: whole segments are deleted.",
        ),
    ],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSettings:
    """A topic's settings with their values; the table says what each means."""

    retention_ms: int
    retention_bytes: int
    segment_bytes: int
    segment_ms: int
    max_batch_bytes: int
    durability: Literal["fsync", "os"]
    min_insync_replicas: int
    unclean_leader_election: Literal["off", "on"]
    catch_up_rate_bytes: int
    timestamp_type: Literal["create", "append"]
    timestamp_before_max_ms: int
    timestamp_after_max_ms: int
    min_free_bytes: int
    index_interval_bytes: int
    cleanup_policy: Literal["delete"]

    @classmethod
    def of(cls, overrides: Mapping[str, str] | None = None) -> TopicSettings:
        """Defaults, except what is overridden. UnknownSettingError, InvalidSettingError."""
        return cls(**TOPIC_SETTINGS.values(overrides or {}))
