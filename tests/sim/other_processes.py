"""What a program prints in processes that hash differently: what sets and dicts give away shows there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def printed_in_two_processes(program: str) -> list[list[str]]:
    """The words of each."""
    path = os.pathsep.join([str(_ROOT), *sys.path])
    return [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=_ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        ).stdout.split()
        for hash_seed in ("1", "2")
    ]
