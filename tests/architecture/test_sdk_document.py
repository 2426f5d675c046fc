from __future__ import annotations

import re

import streamkeep
from streamkeep import errors
from tests.architecture.source import ROOT


def test_the_reference_of_the_sdk_leaves_nothing_out() -> None:
    told = set(re.findall(r"^### (\w+)$|^\| `(\w+Error)`", (ROOT / "docs/sdk.md").read_text(), re.MULTILINE))
    names = {heading or error for heading, error in told} | {"StreamkeepError", "errors"}
    assert names >= {*streamkeep.__all__, *errors.__all__}
