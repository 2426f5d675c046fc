from __future__ import annotations

from typing import cast

import pytest

from tests.sim.worlds import RunScenario, run_in_memory, run_really, run_simulated


@pytest.fixture(params=[run_really, run_simulated, run_in_memory], ids=["real", "simulated", "in-memory"])
def run(request: pytest.FixtureRequest) -> RunScenario:
    """Runs a scenario of a contract suite in one of the worlds."""
    return cast(RunScenario, request.param)
