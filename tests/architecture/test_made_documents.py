"""Documents that are made from code are fresh."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.source import ROOT


@pytest.mark.parametrize("script", ["sdk_doc", "settings_doc", "state_diagram", "streamctl_doc"])
def test_a_document_that_is_made_from_code_is_what_the_code_says(script: str) -> None:
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
