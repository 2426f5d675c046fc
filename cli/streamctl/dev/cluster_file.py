"""The file that remembers a development cluster's processes, and what it means. Pure.

A process is remembered by pid, start time and boot, so that a number which the system gave to somebody
else is never taken for ours.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

CLUSTER_FILE = "dev.json"
_LAYOUT = 1


class ProcessState(Enum):
    """What a remembered process does now."""

    RUNNING = "running"
    PAUSED = "paused"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One process of the cluster; `start_ticks` since the boot `boot_id`, as /proc has them."""

    role: str
    id: int
    pid: int
    start_ticks: int
    boot_id: str
    address: str
    data_dir: str
    log: str

    @property
    def name(self) -> str:
        return f"{self.role} {self.id}"


class ClusterFileError(ValueError):
    """The file is not one that this version wrote."""


def encode(records: Sequence[ProcessRecord]) -> str:
    """The file's text."""
    return (
        json.dumps({"layout": _LAYOUT, "processes": [asdict(record) for record in records]}, indent=2) + "\n"
    )


def decode(text: str) -> list[ProcessRecord]:
    """Read what `encode` wrote. Raises ClusterFileError."""
    try:
        content = json.loads(text)
        if content["layout"] != _LAYOUT:
            raise ClusterFileError(f"layout {content['layout']} is not known")
        return [_record(fields) for fields in content["processes"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterFileError(str(error)) from error


def _record(fields: dict[str, Any]) -> ProcessRecord:
    record = ProcessRecord(**fields)
    if not all(isinstance(number, int) for number in (record.id, record.pid, record.start_ticks)):
        raise ClusterFileError(f"{record} has a number that is none")
    return record


class ClusterState(Enum):
    """What stands in the way of a start."""

    STOPPED = "stopped"
    RUNNING = "running"
    HALF_DEAD = "half-dead"


def judge(states: Sequence[ProcessState]) -> ClusterState:
    """The cluster's state out of its processes' states."""
    living = [state for state in states if state is not ProcessState.DEAD]
    if not living:
        return ClusterState.STOPPED
    return ClusterState.RUNNING if len(living) == len(states) else ClusterState.HALF_DEAD


def refusal(records: Sequence[ProcessRecord], states: Sequence[ProcessState], data_dir: str) -> str | None:
    """Why a cluster cannot start in `data_dir` and what to do, or None if it can."""
    stop = f"`streamctl dev stop --data-dir {data_dir}`"
    match judge(states):
        case ClusterState.STOPPED:
            return None
        case ClusterState.RUNNING:
            return f"a cluster is already running in {data_dir}: use it, or end it with {stop}"
        case ClusterState.HALF_DEAD:
            pairs = list(zip(records, states, strict=True))
            dead = ", ".join(record.name for record, state in pairs if state is ProcessState.DEAD)
            alive = ", ".join(
                f"{record.name} (pid {record.pid})"
                for record, state in pairs
                if state is not ProcessState.DEAD
            )
            return (
                f"an earlier run in {data_dir} is half dead: {dead} ended, {alive} still runs;"
                f" end it with {stop}, then start again (no data is lost)"
            )
