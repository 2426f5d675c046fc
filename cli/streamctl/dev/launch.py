"""One process of a cluster: started, and waited for until it is ready.

Knows nothing of the cluster around it: what to start stands in the process's record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from streamctl.dev import processes
from streamctl.dev.cluster_file import ProcessRecord
from streamctl.dev.ready import NotReadyError, until_ready
from streamctl.failures import CommandError

START_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Launched:
    """A process that has not said yet that it is ready. `log_start`: where its part of the log begins."""

    record: ProcessRecord
    ready_fd: int
    log_start: int


def launch(record: ProcessRecord) -> Launched:
    """Start what the record describes."""
    log = Path(record.log)
    log_start = log.stat().st_size if log.exists() else 0
    child = processes.spawn_python(record.arguments, log)
    started = replace(
        record,
        pid=child.pid,
        start_ticks=processes.start_ticks(child.pid) or 0,
        boot_id=processes.boot_id(),
    )
    return Launched(started, child.ready_fd, log_start)


async def readiness(launched: Launched) -> None:
    """Return when the process says that it is ready. CommandError with its last word if it ends instead."""
    record = launched.record
    try:
        await until_ready(launched.ready_fd, Path(record.log), launched.log_start)
    except NotReadyError as error:
        said = str(error).removeprefix(f"streamkeep {record.name}: ").rstrip(".")
        raise CommandError(f"{record.name} did not start: {said}; its log is {record.log}") from error
