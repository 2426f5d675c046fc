from __future__ import annotations

import re
import subprocess
import sys

import streamkeep
from streamkeep import errors
from tests.architecture.source import ROOT


def test_the_reference_of_the_sdk_is_what_its_docstrings_say() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "sdk_doc.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_reference_of_the_sdk_leaves_nothing_out() -> None:
    told = set(re.findall(r"^### (\w+)$|^\| `(\w+Error)`", (ROOT / "docs/sdk.md").read_text(), re.MULTILINE))
    names = {heading or error for heading, error in told} | {"StreamkeepError", "errors"}
    assert names >= {*streamkeep.__all__, *errors.__all__}
