from __future__ import annotations

import pytest

from streamkeep_coordinator.raft.majority import Verdict, reached_by_majority, verdict


@pytest.mark.parametrize(
    ("values", "reached"),
    [
        ([], 0),
        ([7], 7),
        ([7, 3], 3),
        ([7, 3, 5], 5),
        ([9, 9, 1, 1], 1),
        ([9, 9, 2, 1], 2),
        ([5, 4, 3, 2, 1], 3),
    ],
)
def test_more_than_half_must_have_come_so_far(values: list[int], reached: int) -> None:
    assert reached_by_majority(values) == reached


def test_an_election_is_open_until_it_cannot_change_any_more() -> None:
    voters = (1, 2, 3, 4)
    assert verdict(voters, {1: True, 2: True}) is Verdict.OPEN
    assert verdict(voters, {1: True, 2: True, 3: True}) is Verdict.WON
    assert verdict(voters, {1: True, 2: False, 3: False}) is Verdict.LOST


def test_who_is_no_voter_does_not_count() -> None:
    assert verdict((1, 2, 3), {1: True, 8: True, 9: True}) is Verdict.OPEN
    assert verdict((), {1: True}) is Verdict.LOST
