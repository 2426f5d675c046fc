"""Which change of the quorum is due, decided without any of the machinery around it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamkeep_common.errors import InvalidQuorumChangeError
from streamkeep_coordinator.quorum.membership import View, next_change, with_learner, without
from streamkeep_coordinator.raft import MemberProgress, ProgressState, RaftStatus, Role
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftHello

ELECTION_TICKS = 12
SILENT = 2 * ELECTION_TICKS


def directory(number: int) -> bytes:
    return bytes([number]) * 16


def member(number: int, *, voter: bool = True) -> QuorumMember:
    return QuorumMember(
        coordinator_id=number,
        directory_id=directory(number),
        address=f"c{number}:7101",
        voter=voter,
        min_feature_level=1,
        max_feature_level=2,
    )


def progress(number: int, *, voter: bool = True, silent_ticks: int = 0, lag: int = 0) -> MemberProgress:
    return MemberProgress(
        coordinator_id=number,
        directory_id=directory(number),
        voter=voter,
        match_index=100 - lag,
        state=ProgressState.REPLICATE,
        recently_active=silent_ticks < ELECTION_TICKS,
        silent_ticks=silent_ticks,
        lag=lag,
    )


def view(*seen: MemberProgress) -> View:
    status = RaftStatus(
        role=Role.LEADER,
        term=3,
        leader=1,
        committed_index=100,
        last_index=100,
        is_active=True,
        members=seen,
        transfer_target=0,
    )
    members = [member(each.coordinator_id, voter=each.voter) for each in seen]
    return View(
        quorum=QuorumRecord(cluster_epoch=1, members=members),
        status=status,
        own=member(1),
        greetings={},
        strangers={},
        feature_level=2,
        election_ticks=ELECTION_TICKS,
    )


def test_a_quorum_that_is_well_is_left_alone() -> None:
    assert next_change(view(progress(1), progress(2), progress(3, silent_ticks=1_000))) is None


def test_a_learner_that_has_caught_up_gets_a_vote() -> None:
    change = next_change(view(progress(1), progress(2, voter=False, lag=3)))
    assert change is not None
    assert [each.voter for each in change.members] == [True, True]


@pytest.mark.parametrize(
    "learner",
    [
        progress(2, voter=False, lag=5_000),
        progress(2, voter=False, silent_ticks=ELECTION_TICKS),
        replace(progress(2, voter=False), state=ProgressState.SNAPSHOT),
    ],
)
def test_a_learner_that_lags_or_is_silent_gets_none(learner: MemberProgress) -> None:
    assert next_change(view(progress(1), learner)) is None


def test_learners_are_promoted_one_at_a_time() -> None:
    change = next_change(view(progress(1), progress(2, voter=False), progress(3, voter=False)))
    assert change is not None
    assert [each.voter for each in change.members] == [True, True, False]


def test_an_emptied_directory_loses_its_vote_and_the_new_one_begins_as_a_learner() -> None:
    seen = view(progress(1), progress(2), progress(3, silent_ticks=SILENT))
    change = next_change(replace(seen, strangers={3: directory(9)}))
    assert change is not None
    assert change.members[2].directory_id == directory(9)
    assert not change.members[2].voter
    assert list(change.members[:2]) == [member(1), member(2)]


def test_a_directory_that_was_heard_of_lately_is_not_replaced() -> None:
    seen = view(progress(1), progress(2), progress(3, silent_ticks=SILENT - 1))
    assert next_change(replace(seen, strangers={3: directory(9)})) is None


def test_nobody_is_replaced_if_the_others_would_be_no_majority() -> None:
    silent = [progress(number, silent_ticks=SILENT) for number in (3, 4, 5)]
    seen = view(progress(1), progress(2), *silent)
    assert next_change(replace(seen, strangers={3: directory(9)})) is None


def test_a_new_address_is_written_down() -> None:
    hello = RaftHello(
        coordinator_id=2,
        directory_id=directory(2),
        address="elsewhere:1",
        min_feature_level=1,
        max_feature_level=3,
    )
    change = next_change(replace(view(progress(1), progress(2)), greetings={2: hello}))
    assert change is not None
    assert (change.members[1].address, change.members[1].max_feature_level) == ("elsewhere:1", 3)


def test_what_another_directory_said_changes_nothing() -> None:
    hello = RaftHello(coordinator_id=2, directory_id=directory(9), address="elsewhere:1")
    assert next_change(replace(view(progress(1), progress(2)), greetings={2: hello})) is None


def test_members_come_once_and_the_last_voter_does_not_go() -> None:
    quorum = QuorumRecord(cluster_epoch=1, members=[member(2)])
    grown = with_learner(quorum, member(1, voter=False))
    assert [each.coordinator_id for each in grown.members] == [1, 2]
    with pytest.raises(InvalidQuorumChangeError, match="already"):
        with_learner(grown, member(1))
    with pytest.raises(InvalidQuorumChangeError, match="last voter"):
        without(grown, 2)
    with pytest.raises(InvalidQuorumChangeError, match="no member"):
        without(grown, 3)
    assert without(grown, 1) == quorum
