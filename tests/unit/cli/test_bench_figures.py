"""What a benchmark says of what it measured."""

from __future__ import annotations

from streamctl.bench.figures import Measured, Setup, percentiles
from streamctl.bench.live import Progress, line
from streamctl.output import render

SETUP = Setup("t", 3, 2, 2, "fsync")


def test_percentiles_are_times_that_were_measured() -> None:
    assert percentiles([float(each) for each in range(1000, 0, -1)]) == {
        "p50": 500.0,
        "p95": 950.0,
        "p99": 990.0,
        "p999": 999.0,
        "max": 1000.0,
    }
    assert set(percentiles([7.0]).values()) == {7.0}
    assert set(percentiles([]).values()) == {None}


def test_rates_are_over_the_whole_time_and_nothing_is_divided_by_nothing() -> None:
    measured = Measured(SETUP, 4_000, 2 << 20, 2.0, {"acknowledged": [1.0]})
    assert (measured.records_per_s, measured.mib_per_s) == (2_000, 1.0)
    assert Measured(SETUP, 0, 0, 0.0, {}).records_per_s == 0
    assert "acknowledged" in render(measured.tables()[1])


def test_durability_is_said() -> None:
    assert "on disk (fsync) of every in-sync replica, 2 at least" in SETUP.sentence()
    assert SETUP.sentence().startswith(SETUP.place())


def test_the_live_line_tells_the_rate_since_the_last_one() -> None:
    text = line(Progress(3_000, 3 << 20, 6_000), Progress(1_000, 1 << 20), 2.0)
    assert text == "3,000 records  1,000 records/s  1.0 MiB/s  50 %"
