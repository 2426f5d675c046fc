"""What counts as a stall."""

from __future__ import annotations

from tests.acceptance.replication.pace import Written, longest_gap


def test_a_stall_is_the_longest_time_between_two_acknowledgements_from_the_blow_on() -> None:
    before = [Written(0.0, 0.01), Written(0.9, 0.91)]
    after = [Written(0.95, 2.0), Written(1.0, 1.5), Written(1.1, 2.1)]
    assert longest_gap([*before, *after], since_s=0.92) == 1.5 - 0.91
    assert longest_gap([*before, *after], since_s=0.5) == 0.91 - 0.01
