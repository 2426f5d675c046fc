from __future__ import annotations

import pytest

from streamkeep_coordinator.raft import (
    NotLeaderError,
    ProgressState,
    QuorumChangeError,
    RaftInvariantError,
    Role,
    TooMuchUncommittedError,
)
from streamkeep_proto.v1.metadata_pb2 import QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry
from tests.unit.coordinator.raft.nodes import directory, drain, make_leader, make_node, message, quorum_of


def test_a_sole_voter_leads_after_its_first_tick() -> None:
    node = make_node(quorum=quorum_of(1))
    node.tick()
    ready = drain(node)
    assert (node.role, node.term, node.is_active) == (Role.LEADER, 2, True)
    assert [entry.index for entry in ready.committed] == [1, 2]


def test_a_vote_of_its_own_counts_only_when_it_is_durable() -> None:
    node = make_node(quorum=quorum_of(1))
    node.tick()
    write = node.ready().write
    assert node.role is Role.CANDIDATE
    assert write is not None
    assert write.hard_state is not None
    assert write.hard_state[:2] == (2, 1)
    node.advance(write)
    assert node.role is Role.LEADER


def test_an_empty_directory_and_a_learner_never_campaign() -> None:
    for node in (make_node(4), make_node(4, quorum=quorum_of(1, 2, learners=(4,)))):
        for _ in range(100):
            node.tick()
        assert (node.role, node.term, bool(drain(node))) == (Role.FOLLOWER, 1, False)


def test_one_write_is_under_way_at_a_time() -> None:
    node = make_leader()
    node.propose(b"a")
    first = node.ready().write
    node.propose(b"b")
    assert node.ready().write is None
    assert first is not None
    node.advance(first)
    second = node.ready().write
    assert second is not None
    assert [entry.data for entry in second.entries] == [b"b"]


def test_a_leader_applies_only_what_is_durable_here() -> None:
    node = make_leader()
    node.propose(b"a")
    write = node.ready().write
    for follower in (2, 3):
        node.step(message(follower, 2, append_response={"index": 3}))
    assert (node.log.committed_index, node.ready().committed) == (3, [])
    assert write is not None
    node.advance(write)
    assert [entry.data for entry in node.ready().committed] == [b"a"]


def test_answers_of_a_directory_that_is_not_listed_do_not_count() -> None:
    node = make_leader()
    node.propose(b"a")
    drain(node)
    stranger = message(2, 2, append_response={"index": 3})
    stranger.sender_directory_id = directory(9)
    node.step(stranger)
    assert node.log.committed_index == 2


def test_a_message_for_another_directory_is_not_heard() -> None:
    node = make_node()
    astray = message(2, 9, heartbeat={"round": 1})
    astray.receiver_directory_id = directory(9)
    node.step(astray)
    assert (node.term, bool(drain(node))) == (1, False)


def test_following_a_leader_gives_it_the_vote_of_its_term() -> None:
    node = make_node()
    node.step(message(2, 5, heartbeat={"round": 1}))
    drain(node)
    for _ in range(12):
        node.tick()
    node.step(message(3, 5, vote_request={"last_index": 9, "last_term": 5}))
    refused = [each.vote_response for each in drain(node).messages if each.HasField("vote_response")]
    assert [each.granted for each in refused] == [False]


def test_a_proposal_that_would_wait_with_too_many_others_is_refused_but_one_always_goes() -> None:
    node = make_leader(max_uncommitted_bytes=300)
    node.propose(b"x" * 1000)
    with pytest.raises(TooMuchUncommittedError):
        node.propose(b"y")
    drain(node)
    node.step(message(2, 2, append_response={"index": 3}))
    node.propose(b"y")


@pytest.mark.parametrize(
    "quorum",
    [
        quorum_of(1, 2),
        quorum_of(1, 2, 3, 4),
        quorum_of(1, 2, learners=(3, 4)),
    ],
)
def test_one_voter_may_come_or_go(quorum: QuorumRecord) -> None:
    make_leader().propose(b"q", quorum=quorum)


@pytest.mark.parametrize(
    ("quorum", "reason"),
    [
        (quorum_of(1), "one voter at a time"),
        (quorum_of(1, 2, 4), "one voter at a time"),
        (quorum_of(), "needs a voter"),
        (quorum_of(1, 2, 3, epoch=2), "epoch"),
        (QuorumRecord(cluster_epoch=1, members=[*quorum_of(2, 3).members, *quorum_of(1).members]), "by id"),
    ],
)
def test_no_other_change_of_the_quorum_is_taken(quorum: QuorumRecord, reason: str) -> None:
    with pytest.raises(QuorumChangeError, match=reason):
        make_leader().propose(b"q", quorum=quorum)


def test_a_quorum_whose_majority_is_silent_is_refused() -> None:
    node = make_leader()
    for _ in range(11):
        node.tick()
        node.step(message(2, 2, heartbeat_response={"round": 1}))
    node.tick()
    with pytest.raises(QuorumChangeError, match="no majority answers"):
        node.propose(b"q", quorum=quorum_of(1, 3))
    node.propose(b"q", quorum=quorum_of(1, 2))


def test_only_a_leader_takes_proposals_and_somebody_must_be_known_for_reads() -> None:
    node = make_node()
    for call in (lambda: node.propose(b"a"), lambda: node.transfer(2), lambda: node.read(1)):
        with pytest.raises(NotLeaderError):
            call()


def test_a_read_whose_answer_is_lost_is_forgotten() -> None:
    node = make_node()
    node.step(message(2, 1, heartbeat={"round": 1}))
    node.read(7)
    drain(node)
    for _ in range(30):
        node.tick()
        node.step(message(2, 1, heartbeat={"round": 1}))
    node.step(message(2, 1, read_response={"context": 7, "index": 1}))
    assert drain(node).reads == []


def test_a_read_is_answered_once() -> None:
    node = make_node()
    node.step(message(2, 1, heartbeat={"round": 1}))
    node.read(7)
    for _ in range(2):
        node.step(message(2, 1, read_response={"context": 7, "index": 1}))
    assert drain(node).reads == [(7, 1)]


def test_entries_that_contradict_what_is_committed_stop_the_process() -> None:
    node = make_node(terms=(1, 1, 1))
    node.step(message(2, 1, heartbeat={"round": 1, "committed_index": 3}))
    other = RaftEntry(index=3, term=2, data=b"other")
    with pytest.raises(RaftInvariantError):
        node.step(message(3, 2, append_request={"previous_index": 2, "previous_term": 1, "entries": [other]}))


def test_an_old_leader_hears_of_the_newer_term() -> None:
    node = make_node(terms=(1, 4))
    node.step(message(2, 3, append_request={"previous_index": 1, "previous_term": 1}))
    answers = drain(node).messages
    assert [(each.term, each.receiver) for each in answers] == [(4, 2)]


def test_a_pre_vote_raises_no_term() -> None:
    node = make_node()
    node.step(message(2, 9, vote_request={"pre_vote": True, "last_index": 5, "last_term": 5}))
    (answer,) = drain(node).messages
    assert (node.term, answer.term, answer.vote_response.granted) == (1, 9, True)


def test_status_tells_how_far_everybody_is() -> None:
    node = make_leader()
    node.propose(b"a")
    drain(node)
    status = node.status()
    assert (status.role, status.leader, status.last_index, status.is_active) == (Role.LEADER, 1, 3, True)
    assert [(each.coordinator_id, each.match_index, each.lag) for each in status.members] == [
        (1, 3, 0),
        (2, 2, 1),
        (3, 2, 1),
    ]


def test_a_silent_follower_that_needs_a_snapshot_gets_nothing_until_it_is_heard() -> None:
    node = make_leader()
    for data in (b"a", b"b"):
        node.propose(data)
        drain(node)
    for round_number in range(1, 13):
        node.tick()
        node.step(message(2, 2, append_response={"index": 4}))
        node.step(message(2, 2, heartbeat_response={"round": round_number}))
        drain(node)
    node.compact(4)
    leadership = node._core.leadership
    assert leadership is not None
    leadership.progress[3].state = ProgressState.REPLICATE
    leadership.progress[3].next_index = 3
    leadership.progress[3].inflight.clear()
    ready = node.ready()
    assert not ready.snapshots
    assert not [each for each in ready.messages if each.receiver == 3 and each.HasField("append_request")]
    node.step(message(3, 2, heartbeat_response={"round": 12}))
    assert node.ready().snapshots == [3]
