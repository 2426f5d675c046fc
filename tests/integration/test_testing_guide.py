"""The guide to the test kit is itself a test suite."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.integration.foreign_suite import run_pytest

GUIDE = Path(__file__).parents[2] / "docs/testing.md"
PROGRAM = re.compile(r"^```python (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_guide_does_what_it_says(tmp_path: Path) -> None:
    for name, text in PROGRAM.findall(GUIDE.read_text()):
        (tmp_path / name).write_text(text)
    done = run_pytest(tmp_path)
    assert "5 passed" in done.stdout, done.stdout + done.stderr
    printed = subprocess.run(
        [sys.executable, "-W", "error", "by_hand.py"],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert (printed.stdout, printed.stderr) == (b"42\n1\n", b"")
