from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.source import imported_names, modules

EXTRAS = {"click", "rich", "structlog", "prometheus_client", "grpc_health", "grpc_reflection"}
GRPC_HOME = "client/streamkeep_common/seams/real/"


def loaded_by(statement: str) -> set[str]:
    """Top-level names of the modules in a fresh interpreter after the statement."""
    program = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("package", ["streamkeep", "streamkeep_common.records", "streamkeep_common.settings"])
def test_the_sdk_pulls_in_nothing_of_the_extras(package: str) -> None:
    assert not loaded_by(f"import {package}") & EXTRAS


@pytest.mark.parametrize(
    "package", ["streamkeep_common.records", "streamkeep_common.image", "streamkeep_common.retry"]
)
def test_what_every_process_shares_does_not_load_the_transport(package: str) -> None:
    assert "grpc" not in loaded_by(f"import {package}")


@pytest.mark.parametrize("package", ["streamkeep_broker.broker", "streamkeep_coordinator.coordinator"])
def test_servers_do_without_what_only_people_need(package: str) -> None:
    assert not loaded_by(f"import {package}") & {"click", "rich"}


def test_only_the_real_network_knows_grpc() -> None:
    found = [
        f"{module.name}:{line} imports {name}"
        for module in modules()
        for line, name in imported_names(module.tree)
        if name.partition(".")[0].startswith("grpc") or "_pb2_grpc" in name
    ]
    assert [place for place in found if not place.startswith(GRPC_HOME)] == []
