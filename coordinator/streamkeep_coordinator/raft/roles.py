"""Every role of a node and every event that may change it (thesis figure 3.3, with the pre-vote of 9.6).

All changes of role go through this table, and the state diagram in ARCHITECTURE.md is drawn from it. It does
not know what a role does.
"""

from __future__ import annotations

from enum import Enum

from streamkeep_coordinator.raft.errors import RaftInvariantError


class Role(Enum):
    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class Event(Enum):
    """What may change a role; the value is what the diagram says."""

    ELECTION_TIMEOUT = "no leader for an election timeout"
    TOLD_TO_CAMPAIGN = "the leader hands over"
    PRE_VOTES_WON = "a majority would vote for it"
    VOTES_WON = "a majority votes for it"
    VOTES_LOST = "a majority refuses"
    LEADER_SEEN = "hears the leader of its term"
    NEWER_TERM = "learns of a newer term"
    DISK_HANGS = "its write does not end, and nobody took over"
    QUORUM_LOST = "no majority answers for an election timeout"
    LEFT_QUORUM = "its own removal is committed"


TRANSITIONS: dict[tuple[Role, Event], Role] = {
    (Role.FOLLOWER, Event.ELECTION_TIMEOUT): Role.PRE_CANDIDATE,
    (Role.FOLLOWER, Event.TOLD_TO_CAMPAIGN): Role.CANDIDATE,
    (Role.FOLLOWER, Event.LEADER_SEEN): Role.FOLLOWER,
    (Role.FOLLOWER, Event.NEWER_TERM): Role.FOLLOWER,
    (Role.PRE_CANDIDATE, Event.ELECTION_TIMEOUT): Role.PRE_CANDIDATE,
    (Role.PRE_CANDIDATE, Event.PRE_VOTES_WON): Role.CANDIDATE,
    (Role.PRE_CANDIDATE, Event.VOTES_LOST): Role.FOLLOWER,
    (Role.PRE_CANDIDATE, Event.LEADER_SEEN): Role.FOLLOWER,
    (Role.PRE_CANDIDATE, Event.NEWER_TERM): Role.FOLLOWER,
    (Role.CANDIDATE, Event.ELECTION_TIMEOUT): Role.PRE_CANDIDATE,
    (Role.CANDIDATE, Event.VOTES_WON): Role.LEADER,
    (Role.CANDIDATE, Event.VOTES_LOST): Role.FOLLOWER,
    (Role.CANDIDATE, Event.LEADER_SEEN): Role.FOLLOWER,
    (Role.CANDIDATE, Event.NEWER_TERM): Role.FOLLOWER,
    (Role.LEADER, Event.NEWER_TERM): Role.FOLLOWER,
    (Role.LEADER, Event.DISK_HANGS): Role.FOLLOWER,
    (Role.LEADER, Event.QUORUM_LOST): Role.FOLLOWER,
    (Role.LEADER, Event.LEFT_QUORUM): Role.FOLLOWER,
}


def next_role(role: Role, event: Event) -> Role:
    """RaftInvariantError if that cannot happen to that role: for instance a leader that hears another of its
    term.
    """
    following = TRANSITIONS.get((role, event))
    if following is None:
        raise RaftInvariantError(f"a {role.value} {event.value}")
    return following
