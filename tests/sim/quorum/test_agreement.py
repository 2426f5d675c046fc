"""The checkers see what they are for: each broken promise is found, and kept ones pass."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import cast

import pytest

from streamkeep_common.image import ClusterImage
from streamkeep_coordinator.raft.log import RaftLog
from streamkeep_coordinator.raft.node import RaftNode
from streamkeep_coordinator.raft.roles import Role
from streamkeep_proto.v1.raft_pb2 import RaftEntry
from tests.sim.quorum import agreement
from tests.sim.quorum.agreement import Agreement, Directory
from tests.sim.violation import InvariantError


def entries(*terms: int, first: int = 1, data: bytes = b"") -> list[RaftEntry]:
    return [RaftEntry(index=first + place, term=term, data=data) for place, term in enumerate(terms)]


def node(*terms: int, committed: int = 0, term: int = 0, vote: int = 0, leads: bool = False) -> RaftNode:
    """A process with this log, as far as checkers look at one."""
    made = SimpleNamespace(
        log=RaftLog(entries=entries(*terms), committed_index=committed),
        term=term or max(terms, default=0),
        role=Role.LEADER if leads else Role.FOLLOWER,
        _core=SimpleNamespace(vote=vote),
    )
    return cast(RaftNode, made)


class Bench:
    """A few directories under one judge."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.agreement = Agreement(
            lambda kind, _detail: self.notes.append(kind), lambda _entry: None, lambda _entry: None
        )
        self.a, self.b, self.c = (Directory(self.agreement, name) for name in "abc")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_logs_that_agree_pass(bench: Bench) -> None:
    leader = node(1, 1, leads=True)
    bench.a.look(leader)
    follower = node(1)
    bench.b.look(follower)
    follower.log.append(entries(1, first=2)[0])
    leader.log.commit_to(2)
    bench.b.look(follower)
    bench.a.look(leader)
    follower.log.commit_to(2)
    bench.b.look(follower)
    bench.b.look(follower)
    assert bench.agreement.committed_index == 2
    assert bench.notes.count("commit") == 2
    assert bench.notes.count("elected") == 1


def test_two_leaders_of_one_term_are_seen(bench: Bench) -> None:
    bench.a.look(node(1, leads=True))
    with pytest.raises(InvariantError, match=agreement.ONE_LEADER):
        bench.b.look(node(1, leads=True))


def test_entries_of_one_index_and_term_that_differ_are_seen(bench: Bench) -> None:
    bench.a.look(node(1, 2))
    other = node(1)
    other.log.append(entries(2, first=2, data=b"other")[0])
    with pytest.raises(InvariantError, match=agreement.LOG_MATCHING):
        bench.b.look(other)


def test_entries_behind_histories_that_differ_are_seen(bench: Bench) -> None:
    bench.a.look(node(1, 1, 3))
    with pytest.raises(InvariantError, match=agreement.LOG_MATCHING):
        bench.b.look(node(1, 2, 3))


def test_a_leader_that_lacks_what_is_committed_is_seen(bench: Bench) -> None:
    bench.a.look(node(1, 1, committed=2))
    with pytest.raises(InvariantError, match=agreement.COMPLETENESS):
        bench.b.look(node(1, term=2, leads=True))


def test_a_leader_of_an_earlier_term_may_lack_what_was_committed_since(bench: Bench) -> None:
    bench.a.look(node(1, 3, committed=2))
    bench.b.look(node(1, term=2, leads=True))


def test_another_entry_committed_at_an_index_is_seen(bench: Bench) -> None:
    bench.a.look(node(1, 1, committed=2))
    with pytest.raises(InvariantError, match=agreement.COMMITTED):
        bench.b.look(node(1, 2, committed=2))


def test_a_leader_that_commits_an_older_terms_entry_by_counting_is_seen(bench: Bench) -> None:
    leader = node(1, 1, term=2, leads=True)
    bench.a.look(leader)
    leader.log.commit_to(2)
    with pytest.raises(InvariantError, match=agreement.OWN_TERM):
        bench.a.look(leader)


def test_a_commit_index_that_goes_back_is_seen(bench: Bench) -> None:
    follower = node(1, 1, committed=2)
    bench.a.look(follower)
    follower.log.committed_index = 1
    with pytest.raises(InvariantError, match=agreement.MONOTONIC):
        bench.a.look(follower)


def test_committed_entries_that_are_cut_off_are_seen(bench: Bench) -> None:
    follower = node(1, 1, 1, committed=2)
    bench.a.look(follower)
    follower.log.committed_index = 0
    follower.log.truncate(2)
    follower.log.committed_index = 2
    with pytest.raises(InvariantError, match=agreement.COMMITTED):
        bench.a.look(follower)


def test_cutting_off_what_is_not_committed_passes(bench: Bench) -> None:
    follower = node(1, 1, 1, committed=2)
    bench.a.look(follower)
    follower.log.truncate(3)
    follower.log.append(entries(2, first=3)[0])
    bench.a.look(follower)
    assert bench.notes.count("truncated") == 1


def test_an_acknowledged_entry_that_a_restart_lost_is_seen(bench: Bench) -> None:
    bench.a.look(node(1, 1, 1))
    bench.a.acknowledged(1, 3)
    with pytest.raises(InvariantError, match=agreement.DURABLE):
        bench.a.look(node(1, 1))


def test_an_entry_that_was_never_acknowledged_may_be_lost(bench: Bench) -> None:
    bench.a.look(node(1, 1, 1))
    bench.a.acknowledged(1, 2)
    bench.a.look(node(1, 1))


def test_what_was_acknowledged_and_then_cut_off_may_be_missing(bench: Bench) -> None:
    before = node(1, 1, 1)
    bench.a.look(before)
    bench.a.acknowledged(1, 3)
    before.log.truncate(3)
    before.log.append(entries(2, first=3)[0])
    bench.a.look(before)
    bench.a.look(node(1, 1))


def test_a_vote_that_a_restart_forgot_is_seen(bench: Bench) -> None:
    bench.a.look(node(1, term=4, vote=2))
    bench.a.voted(4, 2)
    bench.a.look(node(1, term=4, vote=2))
    with pytest.raises(InvariantError, match=agreement.DURABLE):
        bench.a.look(node(1, term=4, vote=3))


def test_a_term_that_a_restart_forgot_is_seen(bench: Bench) -> None:
    bench.a.look(node(1, term=4, vote=2))
    bench.a.voted(4, 2)
    with pytest.raises(InvariantError, match=agreement.DURABLE):
        bench.a.look(node(1, term=3))


def test_two_votes_in_one_term_are_seen(bench: Bench) -> None:
    bench.a.voted(4, 2)
    with pytest.raises(InvariantError, match=agreement.DURABLE):
        bench.a.voted(4, 3)


def test_images_that_differ_at_one_index_are_seen(bench: Bench) -> None:
    bench.a.look(node(1, committed=1))
    bench.a.show(ClusterImage(index=1, cluster_id="x"))
    bench.b.show(ClusterImage(index=1, cluster_id="x"))
    with pytest.raises(InvariantError, match=agreement.SAME_STATE):
        bench.c.show(ClusterImage(index=1, cluster_id="y"))


def test_an_image_that_goes_back_is_seen(bench: Bench) -> None:
    bench.a.look(node(1, 1, committed=2))
    image = ClusterImage(index=2)
    bench.a.show(image)
    with pytest.raises(InvariantError, match=agreement.MONOTONIC):
        bench.a.show(dataclasses.replace(image, index=1))


def test_an_image_of_what_is_not_committed_is_seen(bench: Bench) -> None:
    with pytest.raises(InvariantError, match=agreement.COMMITTED):
        bench.a.show(ClusterImage(index=1))
