"""Makes tests of scenarios: each runs in virtual time, from one seed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from tests.sim.simulation import Simulation, run_simulation

Scenario = Callable[[Simulation], Coroutine[Any, Any, None]]

MAX_TIME_S = 600
"""Virtual seconds after which a test has hung."""


def simulated(scenario: Scenario) -> Callable[[], None]:
    """Make a test of a scenario that builds its own world."""
    return as_test(scenario, scenario)


def as_test(scenario: Callable[..., object], run: Scenario) -> Callable[[], None]:
    """A test with the name of `scenario`, which `run` plays in a world of its kind."""

    def test() -> None:
        run_simulation(1, run, max_time_s=MAX_TIME_S)

    test.__name__ = test.__qualname__ = scenario.__name__
    test.__doc__ = scenario.__doc__
    test.__module__ = scenario.__module__
    return test
