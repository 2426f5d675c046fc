"""About how many bytes a follower lacks."""

from __future__ import annotations

from typing import NamedTuple

from streamkeep_broker.replication.distance import bytes_after


class Segment(NamedTuple):
    base_offset: int
    next_offset: int
    size: int


LOG = [Segment(0, 100, 1000), Segment(100, 200, 5000), Segment(200, 200, 0)]


def test_segments_count_whole_and_the_one_with_the_offset_in_proportion() -> None:
    assert bytes_after(LOG, 0) == 6000
    assert bytes_after(LOG, 50) == 5500
    assert bytes_after(LOG, 100) == 5000
    assert bytes_after(LOG, 199) == 50


def test_at_the_end_and_past_it_nothing_is_missing() -> None:
    assert bytes_after(LOG, 200) == bytes_after(LOG, 201) == 0
