"""Who is believed. A broken promise of a member ends the process; the word of a stranger does not."""

from __future__ import annotations

from typing import Any

import pytest

from streamkeep_coordinator.raft import RaftInvariantError, Role
from tests.unit.coordinator.raft.nodes import drain, make_leader, make_node, message

LEADERSHIP: list[dict[str, Any]] = [
    {"heartbeat": {"round": 1}},
    {"append_request": {"previous_index": 1, "previous_term": 1}},
    {"snapshot_received": {"index": 1_000, "last_term": 2}},
    {"timeout_now": {}},
]
STRANGER = 9


@pytest.mark.parametrize("body", LEADERSHIP)
def test_a_stranger_does_not_lead_a_term_that_another_one_leads(body: dict[str, Any]) -> None:
    leader = make_leader()
    leader.step(message(STRANGER, leader.term, **body))
    assert (leader.role, leader.leader, leader.log.last_index) == (Role.LEADER, 1, 2)
    follower = make_node()
    follower.step(message(2, 2, heartbeat={"round": 1}))
    follower.step(message(STRANGER, 2, **body))
    drain(follower)
    assert (follower.role, follower.leader, follower.log.last_index) == (Role.FOLLOWER, 2, 1)


@pytest.mark.parametrize("body", LEADERSHIP)
def test_two_members_that_lead_one_term_end_the_process(body: dict[str, Any]) -> None:
    follower = make_node()
    follower.step(message(2, 2, heartbeat={"round": 1}))
    with pytest.raises(RaftInvariantError):
        follower.step(message(3, 2, **body))


def test_that_what_is_committed_was_never_there_is_believed_of_a_member() -> None:
    other = {"entries": [{"index": 1, "term": 2}]}
    follower = make_node()
    follower.step(message(2, 2, heartbeat={"round": 1, "committed_index": 1}))
    follower.step(message(STRANGER, 3, append_request=other))
    assert (follower.term, follower.log.last_term) == (2, 1)
    with pytest.raises(RaftInvariantError):
        follower.step(message(2, 2, append_request=other))


def test_that_something_was_lost_is_believed_of_a_member() -> None:
    lost = {"round": 1, "committed_index": 1_000}
    follower = make_node()
    follower.step(message(STRANGER, 2, heartbeat=lost))
    assert (follower.term, follower.log.committed_index) == (1, 0)
    with pytest.raises(RaftInvariantError):
        follower.step(message(2, 2, heartbeat=lost))
