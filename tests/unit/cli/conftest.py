"""What every test of the command line has: a home of its own, and if it asks for one, an admin."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.fake_admin import T0, FakeAdmin, fake_cluster, held


@pytest.fixture(autouse=True)
def config_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees the contexts and clusters of whoever runs it."""
    for variable in ("STREAMKEEP_BOOTSTRAP", "STREAMCTL_CONTEXT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> FakeAdmin:
    """What commands speak to; broker 2 has copied a third of what broker 1 has of partition t:0."""
    admin = FakeAdmin(sizes={T0: {1: held(3 * 2**20), 2: held(2**20)}})
    fake_cluster(admin, monkeypatch)
    return admin
