from __future__ import annotations

import subprocess
import sys

from tests.architecture.source import ROOT


def test_the_reference_of_streamctl_is_what_the_commands_say() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "streamctl_doc.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
