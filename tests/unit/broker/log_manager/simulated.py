"""Tests of a log manager in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from tests.sim.simulation import Simulation, run_simulation

Scenario = Callable[[Simulation], Coroutine[Any, Any, None]]


def simulated(scenario: Scenario) -> Callable[[], None]:
    """Run a test in virtual time on simulated disks."""

    def run() -> None:
        run_simulation(1, scenario)

    run.__doc__ = scenario.__doc__
    return run
