from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.program import Streamctl


@pytest.fixture(scope="session")
def streamctl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streamctl]:
    """streamctl beside a cluster of three coordinators and three brokers on free ports."""
    home = tmp_path_factory.mktemp("streamctl")
    program = Streamctl(home)
    start = ("dev", "--detach", "--port-base", "0", "--data-dir", str(home / "cluster"), "-o", "json")
    processes = program.process(*start).json
    try:
        coordinators = [process["address"] for process in processes if process["role"] == "coordinator"]
        yield Streamctl(home, bootstrap=",".join(coordinators))
    finally:
        program("dev", "stop", "--data-dir", str(home / "cluster"))


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Streamctl]:
    """streamctl without a cluster; what a test starts and does not end is ended."""
    program = Streamctl(tmp_path)
    yield program
    program("dev", "stop")
