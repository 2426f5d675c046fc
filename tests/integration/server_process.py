"""One server of a test as a process of its own: started, stopped, killed, paused and started again.

Knows how a server says that it is ready, and nothing of the cluster around it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
LOG_TAIL = 4_000
ANY_PORT = "127.0.0.1:0"


class ServerProcess:
    """It keeps its address over restarts. `program` is what comes after the interpreter, before the flags."""

    def __init__(self, program: Sequence[str], name: str, folder: Path, flags: Mapping[str, str]) -> None:
        self.name = name
        self.folder = folder
        self.flags = dict(flags)
        self.address = ANY_PORT
        self.ready: dict[str, Any] = {}
        self._program = program
        self._process: asyncio.subprocess.Process | None = None

    @property
    def log_path(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait for its ready line; later starts listen where the first one did."""
        flags = {"metrics-listen": "", **self.flags, "listen": self.address, "log-level": "info"}
        arguments = [item for name, value in flags.items() for item in (f"--{name}", value)]
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *self._program, *arguments, stdout=subprocess.PIPE, stderr=log, cwd=ROOT
            )
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                line = await self._process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line:
            raise AssertionError(f"{self.name} is not ready:\n{self.log_path.read_text()[-LOG_TAIL:]}")
        self.ready = json.loads(line)
        self.address = self.ready["address"]

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """SIGKILL: nothing is flushed, nobody is told."""
        await self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP: its connections stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    async def restart(self) -> None:
        """Start again after `stop` or `kill`."""
        await self.start()

    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self.name} was not started"
        self._process.send_signal(number)

    async def _end(self, number: signal.Signals) -> int:
        assert self._process is not None, f"{self.name} was not started"
        if self.is_running():
            self._signal(number)
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode
