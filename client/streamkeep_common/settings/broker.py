"""The settings of a broker process, read when it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from streamkeep_common.limits import GIB, MAX_MESSAGE_BYTES, MIB
from streamkeep_common.settings.common import ADVERTISED, LOG_FORMAT, LOG_LEVEL, METRICS_LISTEN, process_id
from streamkeep_common.settings.table import SettingsTable
from streamkeep_common.settings.types import (
    Address,
    AddressList,
    DirectoryList,
    Integer,
    Text,
    duration,
    size,
)

_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS

BROKER_SETTINGS = SettingsTable(
    "broker",
    "Broker settings",
    [
        process_id("The broker's number in its cluster; no two brokers have the same, and it never changes."),
        (
            "listen",
            Address(lowest_port=0),
            "127.0.0.1:7201",
            "Where clients and other brokers connect (port 0 = any free one, see the ready line).",
        ),
        ADVERTISED,
        (
            "coordinators",
            AddressList(),
            "127.0.0.1:7101",
            "Coordinators to find the cluster by; any one is enough.",
        ),
        ("data_dirs", DirectoryList(), None, "Log directories, best one a disk."),
        ("rack", Text(), "", "Failure domain of the broker: replicas of a partition are spread over racks."),
        METRICS_LISTEN,
        LOG_LEVEL,
        LOG_FORMAT,
        (
            "min_free_bytes",
            size(0, 2**53, special=((-1, "the smaller of 1 GiB and 5 % of the file system"),)),
            "-1",
            "A log directory with less free space refuses appends until it has twice as much.",
        ),
        (
            "disk_stall_ms",
            duration(100, 10 * _MINUTE_MS),
            "2000",
            "A flush that runs longer marks its log directory as stalled.",
        ),
        (
            "retention_check_ms",
            duration(100, _DAY_MS),
            str(5 * _MINUTE_MS),
            "How often the log is searched for segments to delete.",
        ),
        (
            "checkpoint_ms",
            duration(100, 60 * _MINUTE_MS),
            "5000",
            "How often high watermarks, log starts and recovery points are written, to shorten recovery.",
        ),
        (
            "producer_expiration_ms",
            duration(1_000, 365 * _DAY_MS),
            str(_DAY_MS),
            "A producer that has not written to a partition for so long is forgotten there. Default 1 day.",
        ),
        (
            "replica_lag_ms",
            duration(500, 10 * _MINUTE_MS),
            "3000",
            "A replica that has not had all of its leader's log for so long leaves the in-sync set.",
        ),
        (
            "replication_window_bytes",
            size(MAX_MESSAGE_BYTES, GIB),
            str(32 * MIB),
            "Bytes that a leader sends a follower ahead of its acknowledgements, on each of two streams.",
        ),
        (
            "max_in_flight_bytes",
            size(MAX_MESSAGE_BYTES, 1024 * GIB),
            str(128 * MIB),
            "Bytes of produce requests that the broker holds at a time; beyond, clients wait.",
        ),
        (
            "max_connection_in_flight_bytes",
            size(MAX_MESSAGE_BYTES, 64 * GIB),
            str(32 * MIB),
            "As max_in_flight_bytes, for one produce stream.",
        ),
        (
            "max_open_files",
            Integer(16, 1_000_000),
            "1000",
            "Log and index files that are kept open; those used longest ago are closed first.",
        ),
        (
            "stop_timeout_ms",
            duration(0, 10 * _MINUTE_MS),
            "1000",
            "How long a stopping broker lets requests finish before it cuts them off.",
        ),
    ],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """A broker's settings with their values; the table says what each means."""

    id: int
    listen: str
    advertised: str
    coordinators: tuple[str, ...]
    data_dirs: tuple[Path, ...]
    rack: str
    metrics_listen: str
    log_level: Literal["debug", "info", "warning", "error"]
    log_format: Literal["json", "console"]
    min_free_bytes: int
    disk_stall_ms: int
    retention_check_ms: int
    checkpoint_ms: int
    producer_expiration_ms: int
    replica_lag_ms: int
    replication_window_bytes: int
    max_in_flight_bytes: int
    max_connection_in_flight_bytes: int
    max_open_files: int
    stop_timeout_ms: int

    @classmethod
    def of(cls, overrides: Mapping[str, str]) -> BrokerSettings:
        """Defaults, except what is overridden. UnknownSettingError, InvalidSettingError."""
        return cls(**BROKER_SETTINGS.values(overrides))
