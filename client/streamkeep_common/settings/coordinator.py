"""The settings of a coordinator process, read when it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from streamkeep_common.limits import MAX_PARTITIONS_PER_TOPIC, MAX_REPLICATION_FACTOR
from streamkeep_common.settings.common import ADVERTISED, LOG_FORMAT, LOG_LEVEL, METRICS_LISTEN, process_id
from streamkeep_common.settings.table import SettingsTable
from streamkeep_common.settings.types import Address, Directory, Integer, MemberList, duration

_MINUTE_MS = 60_000

COORDINATOR_SETTINGS = SettingsTable(
    "coordinator",
    "Coordinator settings",
    [
        process_id("The coordinator's number in its cluster; no two have the same, and it never changes."),
        (
            "listen",
            Address(lowest_port=0),
            "127.0.0.1:7101",
            "Where clients, brokers and coordinators connect (port 0 = any free one, see the ready line).",
        ),
        ADVERTISED,
        ("data_dir", Directory(), None, "Where the metadata log is kept."),
        (
            "initial_members",
            MemberList(),
            "",
            "The coordinators with which a new cluster begins, the same on each of them. Looked at only "
            "while the data_dir belongs to no cluster, and only if no coordinator named here belongs to one. "
            "Empty = wait for `streamctl cluster init` or `streamctl quorum add`.",
        ),
        METRICS_LISTEN,
        LOG_LEVEL,
        LOG_FORMAT,
        (
            "session_timeout_ms",
            duration(100, 10 * _MINUTE_MS),
            "3000",
            "A broker that has been silent for so long is fenced: others lead in its place.",
        ),
        (
            "session_grace_ms",
            duration(0, _MINUTE_MS),
            "300",
            "A broker whose connection broke is fenced after this time unless it is back.",
        ),
        (
            "session_reopen_ms",
            duration(0, _MINUTE_MS),
            "700",
            "The time that brokers have to come back to a coordinator that has become the active one.",
        ),
        (
            "heartbeat_interval_ms",
            duration(20, _MINUTE_MS),
            "500",
            "How often brokers report on their sessions.",
        ),
        (
            "raft_heartbeat_ms",
            duration(20, 10_000),
            "100",
            "How often the active coordinator tells the others that it lives.",
        ),
        (
            "election_timeout_ms",
            duration(100, 60_000),
            "600",
            "A coordinator that has heard no active one for so long, or up to twice as long (drawn each "
            "time), asks to become it. At least four times raft_heartbeat_ms.",
        ),
        (
            "default_partitions",
            Integer(1, MAX_PARTITIONS_PER_TOPIC),
            "6",
            "Partitions of a topic that is created without saying how many.",
        ),
        (
            "default_replication_factor",
            Integer(1, MAX_REPLICATION_FACTOR),
            "3",
            "Replicas of each partition where it is not said; with fewer brokers, as many as there are.",
        ),
        (
            "default_min_insync_replicas",
            Integer(1, MAX_REPLICATION_FACTOR),
            "2",
            "min_insync_replicas of a topic that is created without saying it; never more than its replicas.",
        ),
        (
            "leader_balance_ms",
            duration(100, 24 * 60 * _MINUTE_MS),
            "30000",
            "How often leadership is given back to preferred replicas that are in sync again.",
        ),
        (
            "snapshot_entries",
            Integer(10, 10_000_000),
            "10000",
            "Entries of the metadata log after which a snapshot takes their place.",
        ),
        (
            "stop_timeout_ms",
            duration(0, 10 * _MINUTE_MS),
            "1000",
            "How long a stopping coordinator lets requests finish before it cuts them off.",
        ),
    ],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorSettings:
    """A coordinator's settings with their values; the table says what each means."""

    id: int
    listen: str
    advertised: str
    data_dir: Path
    initial_members: tuple[tuple[int, str], ...]
    metrics_listen: str
    log_level: Literal["debug", "info", "warning", "error"]
    log_format: Literal["json", "console"]
    session_timeout_ms: int
    session_grace_ms: int
    session_reopen_ms: int
    heartbeat_interval_ms: int
    raft_heartbeat_ms: int
    election_timeout_ms: int
    default_partitions: int
    default_replication_factor: int
    default_min_insync_replicas: int
    leader_balance_ms: int
    snapshot_entries: int
    stop_timeout_ms: int

    @classmethod
    def of(cls, overrides: Mapping[str, str]) -> CoordinatorSettings:
        """Defaults, except what is overridden. UnknownSettingError, InvalidSettingError."""
        return cls(**COORDINATOR_SETTINGS.values(overrides))
