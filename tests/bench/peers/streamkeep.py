"""Streamkeep's side of the comparison: one coordinator and one broker, durability fsync."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path


class Streamkeep:
    """Two processes on free ports; flushed to disk before every acknowledgement."""

    python = Path(sys.executable)

    def __init__(self, work: Path) -> None:
        self._run = work / "streamkeep-run"
        self._processes: list[subprocess.Popen[str]] = []
        self.bootstrap = ""

    def start(self) -> float:
        """Start with a fresh data folder; return the seconds until both said that they were ready."""
        shutil.rmtree(self._run, ignore_errors=True)
        self._run.mkdir(parents=True)
        began = time.perf_counter()
        self.bootstrap = self._spawn(
            "streamkeep_coordinator", "--initial-members", "1", "--data-dir", str(self._run / "coordinator")
        )
        self._spawn(
            "streamkeep_broker", "--coordinators", self.bootstrap, "--data-dirs", str(self._run / "broker")
        )
        return time.perf_counter() - began

    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait(timeout=10)
        self._processes.clear()
        shutil.rmtree(self._run, ignore_errors=True)

    def _spawn(self, module: str, *options: str) -> str:
        """Start a server on a free port and return its address from the ready line."""
        log = (self._run / f"{module}.log").open("w")
        command = [sys.executable, "-m", module, "--id", "1", "--listen", "127.0.0.1:0", *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        log.close()
        self._processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"{module} did not start: {(self._run / f'{module}.log').read_text()}")
        return str(json.loads(line)["address"])
