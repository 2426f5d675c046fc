"""Scenarios of the Raft core. REWRITE=1 writes the traces anew; review them as a diff."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.golden.raft_script import run_script

SCENARIOS = sorted((Path(__file__).parent / "raft").glob("*.txt"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_raft_does_what_the_scenario_says(path: Path) -> None:
    script = path.read_text(encoding="utf-8")
    trace = run_script(script)
    if os.environ.get("REWRITE") == "1":
        path.write_text(trace, encoding="utf-8")
    else:
        assert trace == script


def test_there_are_scenarios() -> None:
    assert SCENARIOS
