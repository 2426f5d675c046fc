from __future__ import annotations

from typing import cast

import pytest

from tests.sim.worlds import RunScenario, run_really, run_simulated


@pytest.fixture(params=[run_really, run_simulated], ids=["real", "simulated"])
def run(request: pytest.FixtureRequest) -> RunScenario:
    """Runs a scenario of a contract suite in one of the worlds."""
    return cast(RunScenario, request.param)
