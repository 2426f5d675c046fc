"""A process that drives one of the systems: one JSON command in, one JSON result out."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DRIVERS = Path(__file__).resolve().parent / "drivers"


class Driver:
    """It keeps its clients' code warm from one command to the next."""

    def __init__(self, python: Path, script: str, bootstrap: str, **settings: int) -> None:
        self._settings = settings
        command = [str(python), str(DRIVERS / script), bootstrap]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, **command: Any) -> Mapping[str, float]:
        """`seconds` of what moves records; `p50` and `p99`, in ms, of what measures latencies."""
        os.sync()  # what the other system left dirty must not be written back on this one's time
        assert self._process.stdin and self._process.stdout
        print(json.dumps({**self._settings, **command}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the driver died of {command}")
        result: Mapping[str, float] = json.loads(line)
        return result

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()
