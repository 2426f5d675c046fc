from __future__ import annotations

import pytest

from streamkeep_coordinator.raft import RaftInvariantError, Role
from streamkeep_coordinator.raft.roles import TRANSITIONS, Event, next_role


def test_only_a_candidate_becomes_leader() -> None:
    assert {role for (role, _), following in TRANSITIONS.items() if following is Role.LEADER} == {
        Role.CANDIDATE
    }


def test_a_newer_term_makes_a_follower_of_everybody() -> None:
    assert {next_role(role, Event.NEWER_TERM) for role in Role} == {Role.FOLLOWER}


def test_two_leaders_of_one_term_stop_the_process() -> None:
    with pytest.raises(RaftInvariantError):
        next_role(Role.LEADER, Event.LEADER_SEEN)
