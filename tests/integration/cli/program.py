"""Runs streamctl, inside the tests' process or beside it, with a home of its own."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import termios
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from streamctl.main import cli

TIMEOUT_S = 60
STREAMCTL = (sys.executable, "-c", "from streamctl.main import main; main()")


@dataclass(frozen=True)
class Result:
    code: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Streamctl:
    """streamctl with a home of its own and, once there is one, a cluster to speak to."""

    home: Path
    bootstrap: str | None = None

    @property
    def variables(self) -> dict[str, str | None]:
        """What differs from the environment of the tests."""
        strange = dict.fromkeys(name for name in os.environ if name.startswith(("STREAMKEEP_", "STREAMCTL_")))
        return strange | {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "TMPDIR": str(self.home),
            "PYTHONUNBUFFERED": None,
            "STREAMKEEP_BOOTSTRAP": self.bootstrap,
        }

    @property
    def environment(self) -> dict[str, str]:
        return {name: value for name, value in (os.environ | self.variables).items() if value is not None}

    def __call__(self, *arguments: str, expect: int = 0) -> Result:
        """Run inside this process, which is quick; the exit code has to be `expect`."""
        done = CliRunner().invoke(cli, arguments, env=self.variables)
        return _checked(arguments, Result(done.exit_code, done.stdout_bytes, done.stderr), expect)

    def process(self, *arguments: str, stdin: bytes = b"", expect: int = 0) -> Result:
        """As a user does: a process of its own, with pipes."""
        command = [*STREAMCTL, *arguments]
        done = subprocess.run(
            command, input=stdin, capture_output=True, env=self.environment, timeout=TIMEOUT_S, check=False
        )
        return _checked(arguments, Result(done.returncode, done.stdout, done.stderr.decode()), expect)

    def produce(self, topic: str, lines: bytes, *options: str, expect: int = 0) -> Result:
        """Send lines, out of a file."""
        path = self.home / f"{topic}.lines"
        path.write_bytes(lines)
        return self("produce", topic, "--file", str(path), *options, expect=expect)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Run beside the test."""
        return subprocess.Popen([*STREAMCTL, *arguments], env=self.environment, **options)

    def pipe(self, consuming: Sequence[str], producing: Sequence[str]) -> str:
        """`consume ... | produce ...`, as a shell does it; what `produce` said."""
        with (
            self.start("consume", *consuming, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as consumer,
            self.start("produce", *producing, stdin=consumer.stdout, stderr=subprocess.PIPE) as producer,
        ):
            assert consumer.stdout is not None
            consumer.stdout.close()
            _, told = producer.communicate(timeout=TIMEOUT_S)
            _, consumer_told = consumer.communicate(timeout=TIMEOUT_S)
            assert (producer.returncode, consumer.returncode) == (0, 0), (told, consumer_told)
            return told.decode()


def _checked(arguments: Sequence[str], result: Result, expected_code: int) -> Result:
    assert result.code == expected_code, f"{arguments} exited with {result.code}: {result.err}"
    assert "Traceback" not in result.err
    return result


def until_full(process: subprocess.Popen[bytes]) -> None:
    """Wait until the pipe to which it writes has no room for as much as is written at a time."""
    held = array("i", [0])
    assert process.stdout is not None
    most = fcntl.fcntl(process.stdout, fcntl.F_GETPIPE_SZ) - select.PIPE_BUF
    while held[0] <= most:
        assert process.poll() is None, "it has ended"
        time.sleep(0.01)
        fcntl.ioctl(process.stdout, termios.FIONREAD, held)


def is_running(pid: int) -> bool:
    """Not ended, and not a zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def kill(pid: int) -> None:
    """End a process that is no child of this one, and wait for it."""
    pidfd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert select.select([pidfd], [], [], TIMEOUT_S)[0]
    os.close(pidfd)


def servers_under(directory: Path) -> Sequence[int]:
    """Server processes whose command line names something in a directory."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            try:
                command = (path / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if b"streamkeep_" in command and os.fsencode(directory) in command:
                found.append(int(path.name))
    return found
