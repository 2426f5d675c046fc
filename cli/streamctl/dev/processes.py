"""Processes of the operating system: start one, know it again, wait for its end, send it a signal.

Linux: /proc tells when a process started, and a pidfd cannot come to mean another process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from streamctl.dev.cluster_file import ProcessRecord, ProcessState

_LOG_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Spawned:
    """A child just started; `ready_fd` is the reading end of its stdout."""

    pid: int
    ready_fd: int


def spawn_python(arguments: Sequence[str], log: Path) -> Spawned:
    """Start this interpreter in a session of its own; stdin is empty, stderr is appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    reading, writing = os.pipe()
    log_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, *arguments],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, writing, 1),
                (os.POSIX_SPAWN_OPEN, 2, str(log), log_flags, _LOG_MODE),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return Spawned(pid, reading)


@cache
def boot_id() -> str:
    """Random id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third on; None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in parentheses, and may hold spaces and parentheses itself.
    return text.rpartition(")")[2].split()


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if it has ended."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def state_of(record: ProcessRecord) -> ProcessState:
    """What the remembered process does now; a stranger with its number counts as dead."""
    if not record.pid:
        return ProcessState.STOPPED
    fields = _stat(record.pid)
    if fields is None or fields[0] in "ZX":
        return ProcessState.DEAD
    if int(fields[19]) != record.start_ticks or boot_id() != record.boot_id:
        return ProcessState.DEAD
    return ProcessState.PAUSED if fields[0] in "Tt" else ProcessState.RUNNING


class Handle:
    """A hold on one process, ours for certain: signals and waits go to it or to nobody."""

    def __init__(self, record: ProcessRecord, pidfd: int) -> None:
        self.record = record
        self._pidfd = pidfd

    @classmethod
    def open(cls, record: ProcessRecord) -> Handle | None:
        """None if there is no process any more. The check follows the opening: nothing changes between."""
        if not record.pid:
            return None
        try:
            pidfd = os.pidfd_open(record.pid)
        except ProcessLookupError:
            return None
        if state_of(record) is ProcessState.DEAD:
            os.close(pidfd)
            return None
        return cls(record, pidfd)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if the process has ended."""
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return

    async def ended(self) -> None:
        """Return when the process has ended. One waiter at a time."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._pidfd, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(self._pidfd)

    def close(self) -> None:
        os.close(self._pidfd)


def reap(pid: int) -> int | None:
    """The exit status of an ended child (negative: the signal); None if it has not ended or is not ours."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None
