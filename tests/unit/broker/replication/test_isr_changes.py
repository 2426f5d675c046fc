"""Who leaves the in-sync set, who joins it, and what proposals of unknown outcome still count for."""

from __future__ import annotations

import pytest

from streamkeep_broker.replication.isr_changes import Candidate, IsrChanges, IsrRules

RULES = IsrRules(leader_end=100, joining_end=80, now_s=50.0, replica_lag_s=3.0)


def candidate(
    broker_id: int,
    *,
    end: int | None = 100,
    caught_up_s: float = 50.0,
    live: bool = True,
    follows: bool = True,
    has_good_directory: bool = True,
) -> Candidate:
    return Candidate(
        broker_id,
        live=live,
        has_good_directory=has_good_directory,
        follows=follows,
        acknowledged_end=end,
        caught_up_s=caught_up_s,
    )


@pytest.mark.parametrize(
    ("end", "caught_up_s", "stays"),
    [
        (100, 0.0, True),  # it has everything, however long nobody has looked
        (99, 47.0, True),  # behind for exactly the lag
        (99, 46.9, False),  # longer
        (0, 49.0, True),
        (None, 47.0, True),  # not heard of yet, and its time is not over
        (None, 46.9, False),
    ],
)
def test_a_member_leaves_when_it_has_not_been_caught_up_for_the_lag(
    end: int | None, caught_up_s: float, stays: bool
) -> None:
    assert RULES.may_stay(candidate(2, end=end, caught_up_s=caught_up_s)) is stays


def test_a_fenced_member_leaves_whatever_it_has() -> None:
    assert not RULES.may_stay(candidate(2, live=False))


@pytest.mark.parametrize(
    ("end", "live", "follows", "joins"),
    [
        (80, True, True, True),  # all that is acknowledged, though not all that there is
        (79, True, True, False),
        (None, True, True, False),
        (100, False, True, False),
        (100, True, False, False),
    ],
)
def test_a_replica_joins_once_it_has_all_that_is_acknowledged(
    end: int | None, live: bool, follows: bool, joins: bool
) -> None:
    assert RULES.may_join(candidate(3, end=end, live=live, follows=follows)) is joins


def test_trouble_with_its_directory_speaks_against_who_joins_and_not_against_a_member() -> None:
    full = candidate(3, has_good_directory=False)
    assert not RULES.may_join(full)
    assert RULES.may_stay(full)


def test_nothing_is_proposed_while_all_is_as_it_should_be() -> None:
    isr = IsrChanges(1, (1, 2), 5)
    assert isr.wanted([candidate(2), candidate(3, end=10)], RULES) is None


def test_leaving_and_joining_go_into_one_proposal() -> None:
    isr = IsrChanges(1, (1, 2), 5)
    assert isr.wanted([candidate(2, end=1, caught_up_s=0), candidate(3)], RULES) == (1, 3)


def test_one_proposal_is_in_flight_at_a_time() -> None:
    isr = IsrChanges(1, (1,), 5)
    isr.proposed((1, 2))
    assert isr.wanted([candidate(2), candidate(3)], RULES) is None


def test_additions_count_until_the_image_moves() -> None:
    isr = IsrChanges(1, (1,), 5)
    isr.proposed((1, 2))
    isr.commit((1,), 5)  # the same partition again, for a broker of it has changed
    assert (isr.additions, isr.in_flight) == ((2,), True)
    isr.commit((1, 2), 6)
    assert (isr.committed, isr.additions, isr.in_flight) == ((1, 2), (), False)


def test_additions_of_the_only_attempt_end_with_its_refusal() -> None:
    isr = IsrChanges(1, (1,), 5)
    isr.proposed((1, 2))
    isr.refused()
    assert (isr.additions, isr.in_flight) == ((), False)


def test_after_a_lost_answer_the_refusal_of_the_repetition_proves_nothing() -> None:
    isr = IsrChanges(1, (1,), 5)
    isr.proposed((1, 2))
    isr.unknown()
    assert isr.additions == (2,)
    isr.proposed((1, 3))
    assert isr.additions == (2, 3)
    isr.refused()
    assert isr.additions == (2, 3), "the first attempt may still be accepted"


def test_after_a_lost_answer_the_leader_proposes_even_what_is_committed() -> None:
    isr = IsrChanges(1, (1, 2), 5)
    isr.proposed((1,))
    isr.unknown()
    assert isr.wanted([candidate(2)], RULES) == (1, 2)
    isr.commit((1, 2), 6)
    assert isr.wanted([candidate(2)], RULES) is None


def test_an_answer_that_comes_after_the_image_changes_nothing() -> None:
    isr = IsrChanges(1, (1,), 5)
    isr.proposed((1, 2))
    isr.commit((1, 2), 6)
    isr.refused()
    isr.unknown()
    assert (isr.committed, isr.additions) == ((1, 2), ())
    assert isr.wanted([candidate(2)], RULES) is None
