from __future__ import annotations

import json

import pytest

from streamctl.demo.flights import Tally, load_departures


def test_the_package_carries_january_2013_whole() -> None:
    departures = load_departures()
    assert len(departures.keys) == len(departures.values) == 27_004
    rows = [json.loads(value) for value in departures.values]
    assert {(row["year"], row["month"]) for row in rows} == {(2013, 1)}
    assert [row["carrier"].encode() for row in rows] == departures.keys
    assert rows[0] == {
        "year": 2013, "month": 1, "day": 1, "dep_time": 517, "sched_dep_time": 515, "dep_delay": 2,
        "arr_time": 830, "sched_arr_time": 819, "arr_delay": 11, "carrier": "UA", "flight": 1545,
        "tailnum": "N14228", "origin": "EWR", "dest": "IAH", "air_time": 227, "distance": 1400,
        "hour": 5, "minute": 15, "time_hour": "2013-01-01T10:00:00Z",
    }  # fmt: skip


def test_the_tally_is_that_of_the_source() -> None:
    tally = Tally()
    tally.add(load_departures().values)
    assert tally.departures == 27_004
    busiest, united = tally.rows()[0]
    assert (busiest, united.departures, len(tally.carriers)) == ("UA", 4_637, 16)
    assert united.mean_delay_minutes == pytest.approx(8.32617, abs=0.00001)


def test_a_cancelled_flight_counts_as_departure_without_delay() -> None:
    tally = Tally()
    tally.add([b'{"carrier":"OO","dep_delay":null}'])
    assert tally.departures == 1 and tally.carriers["OO"].mean_delay_minutes is None
    tally.add([b'{"carrier":"OO","dep_delay":-4}', b'{"carrier":"OO","dep_delay":1}'])
    assert tally.carriers["OO"].mean_delay_minutes == -1.5


def test_tallies_in_another_order_are_equal() -> None:
    first, second, values = Tally(), Tally(), load_departures().values[:500]
    first.add(values)
    second.add(reversed(values))
    assert first == second
