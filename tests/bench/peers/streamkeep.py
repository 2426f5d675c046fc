"""Streamkeep's side of the comparison: a coordinator and a broker, or three and three; durability fsync."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path


class Streamkeep:
    """Processes on free ports; flushed to disk, on all replicas, before every acknowledgement."""

    python = Path(sys.executable)

    def __init__(self, work: Path, nodes: int = 1) -> None:
        self._run = work / "streamkeep-run"
        self._nodes = list(range(1, nodes + 1))
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self.bootstrap = ""

    def start(self) -> float:
        """Start with fresh data folders; return the seconds until all said that they were ready."""
        shutil.rmtree(self._run, ignore_errors=True)
        self._run.mkdir(parents=True)
        began = time.perf_counter()
        addresses = _free_addresses(len(self._nodes))
        members = ",".join(f"{node}@{address}" for node, address in zip(self._nodes, addresses, strict=True))
        self.bootstrap = ",".join(addresses)
        for node, address in zip(self._nodes, addresses, strict=True):
            self._spawn("coordinator", node, "--listen", address, "--initial-members", members)
        for node in self._nodes:
            self._spawn("broker", node, "--listen", "127.0.0.1:0", "--coordinators", self.bootstrap)
        for name in self._processes:
            self._wait_until_ready(name)
        return time.perf_counter() - began

    def pids(self, role: str = "") -> list[int]:
        """Of all processes, or of the coordinators or the brokers; coordinators first."""
        return [process.pid for name, process in self._processes.items() if name.startswith(role)]

    def stop(self) -> None:
        for process in reversed(self._processes.values()):
            process.terminate()
        for process in self._processes.values():
            process.wait(timeout=10)
        self._processes.clear()
        shutil.rmtree(self._run, ignore_errors=True)

    def kill(self, broker: int) -> None:
        """SIGKILL."""
        process = self._processes[f"broker-{broker}"]
        process.kill()
        process.wait()

    def _spawn(self, role: str, node: int, *options: str) -> None:
        name = f"{role}-{node}"
        data = ("--data-dir" if role == "coordinator" else "--data-dirs", str(self._run / name))
        command = [sys.executable, "-m", f"streamkeep_{role}", "--id", str(node), *data, *options]
        with self._log(name).open("w") as log:
            self._processes[name] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)

    def _wait_until_ready(self, name: str) -> None:
        ready = self._processes[name].stdout
        assert ready is not None
        if "ready" not in json.loads(ready.readline() or "{}"):
            raise SystemExit(f"{name} did not start: {self._log(name).read_text()}")

    def _log(self, name: str) -> Path:
        return self._run / f"{name}.log"


def _free_addresses(count: int) -> Sequence[str]:
    """Of the loopback, all different, with nobody listening now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
