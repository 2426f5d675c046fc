"""The file that remembers a development cluster's processes, and what it means. Pure.

A process is remembered by pid, start time and boot, so that a number which the system gave to somebody
else is never taken for ours.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

CLUSTER_FILE = "dev.json"
_LAYOUT = 2
_OLDER_LAYOUT = 1
"""Has no arguments: its processes can be seen and ended, but not started one by one."""


class ProcessState(Enum):
    """What a remembered process does now."""

    RUNNING = "running"
    PAUSED = "paused"
    DEAD = "dead"
    STOPPED = "stopped"
    """It was ended on its own, on request."""


NOT_LIVING = (ProcessState.DEAD, ProcessState.STOPPED)


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One process of the cluster; `start_ticks` since the boot `boot_id`, as /proc has them.

    `pid` 0: it is not started, or was stopped. `arguments` are what follows the interpreter.
    """

    role: str
    id: int
    pid: int
    start_ticks: int
    boot_id: str
    address: str
    data_dir: str
    log: str
    arguments: Sequence[str]

    @property
    def name(self) -> str:
        return f"{self.role} {self.id}"

    def stopped(self) -> ProcessRecord:
        """The same without a process."""
        return replace(self, pid=0, start_ticks=0, boot_id="")


class ClusterFileError(ValueError):
    """The file is not one that this version can read."""


def encode(records: Sequence[ProcessRecord]) -> str:
    """The file's text."""
    content = {"layout": _LAYOUT, "processes": [asdict(record) for record in records]}
    return json.dumps(content, indent=2) + "\n"


def decode(text: str) -> list[ProcessRecord]:
    """Read what `encode` wrote, or the version before it. Raises ClusterFileError."""
    try:
        content = json.loads(text)
        if content["layout"] not in (_LAYOUT, _OLDER_LAYOUT):
            raise ClusterFileError(f"its layout {content['layout']} is not known")
        absent: dict[str, Any] = {"arguments": []} if content["layout"] == _OLDER_LAYOUT else {}
        return [_record(fields | absent) for fields in content["processes"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterFileError(str(error)) from error


def _record(fields: dict[str, Any]) -> ProcessRecord:
    record = ProcessRecord(**fields)
    if not all(isinstance(number, int) for number in (record.id, record.pid, record.start_ticks)):
        raise ClusterFileError(f"{record} has a number that is none")
    if not all(isinstance(argument, str) for argument in record.arguments):
        raise ClusterFileError(f"{record} has an argument that is no text")
    return record


class ClusterState(Enum):
    """What stands in the way of a start."""

    STOPPED = "stopped"
    RUNNING = "running"
    HALF_DEAD = "half-dead"


def judge(states: Sequence[ProcessState]) -> ClusterState:
    """The cluster's state out of its processes' states."""
    living = [state for state in states if state not in NOT_LIVING]
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
            ended = [record for record, state in pairs if state in NOT_LIVING]
            alive = ", ".join(
                f"{record.name} (pid {record.pid})" for record, state in pairs if state not in NOT_LIVING
            )
            return (
                f"an earlier run in {data_dir} is half dead: {', '.join(r.name for r in ended)} ended,"
                f" {alive} still runs; go on with `streamctl dev start-process {ended[0].name}`, or end it"
                f" with {stop}, then start again (no data is lost)"
            )
