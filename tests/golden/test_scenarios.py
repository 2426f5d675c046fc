"""Scenarios of the metadata machine and of the Raft core, each a script with its trace.

REWRITE=1 writes the traces anew; review them as a diff.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.golden import metadata_scenario, raft_script


def scripts(kind: str) -> list[Path]:
    found = sorted((Path(__file__).parent / kind).glob("*.txt"))
    assert found, f"the scenarios of {kind} were not found"
    return found


def judge(path: Path, run_script: Callable[[str], str]) -> None:
    script = path.read_text(encoding="utf-8")
    trace = run_script(script)
    if os.environ.get("REWRITE") == "1":
        path.write_text(trace, encoding="utf-8")
    else:
        assert trace == script


@pytest.mark.parametrize("path", scripts("metadata"), ids=lambda path: path.stem)
def test_the_metadata_machine_does_what_the_scenario_says(path: Path) -> None:
    judge(path, metadata_scenario.run_script)


@pytest.mark.parametrize("path", scripts("raft"), ids=lambda path: path.stem)
def test_raft_does_what_the_scenario_says(path: Path) -> None:
    judge(path, raft_script.run_script)
