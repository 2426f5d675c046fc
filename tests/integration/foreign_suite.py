"""A test suite of somebody else, run in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


def run_pytest(folder: Path) -> subprocess.CompletedProcess[str]:
    """The suite there in a process of its own, every warning an error."""
    (folder / "pytest.ini").write_text(INI)
    options = ["-p", "no:cacheprovider", "-rA"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--rootdir", str(folder), *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
