"""What a benchmark has measured when it is interrupted."""

from __future__ import annotations

import pytest

from streamctl.bench.course import Course
from streamctl.bench.figures import Setup
from tests.sim.simulation import Simulation, run_simulation


def test_what_was_measured_until_an_interruption_is_kept_with_the_time_that_it_took() -> None:
    async def story(simulation: Simulation) -> None:
        clock = simulation.machine("here").clock
        course = Course(clock)
        course.setup = Setup("t", 1, 1, 1, "fsync")
        assert not course.has_begun
        with pytest.raises(KeyboardInterrupt), course.timed("read"):
            course.progress.records, course.progress.size_bytes = 10, 2**20
            course.times_ms["read"].append(1.5)
            await clock.sleep(2)
            raise KeyboardInterrupt
        await clock.sleep(5)
        measured = course.measured()
        assert course.has_begun and measured.seconds == pytest.approx(2)
        assert (measured.records, measured.size_bytes, measured.times_ms) == (10, 2**20, {"read": [1.5]})

    run_simulation(1, story)
