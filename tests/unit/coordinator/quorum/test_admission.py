"""Who may speak to a coordinator."""

from __future__ import annotations

import pytest

from streamkeep_coordinator.quorum.admission import Admission, admit, refusal
from streamkeep_coordinator.storage.identity import Identity
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.errors_pb2 import ErrorCode
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftHello

OURS, THEIRS, EMPTIED = b"o" * 16, b"t" * 16, b"e" * 16
CLUSTER = "C" * 22
HERE = Identity(coordinator_id=1, directory_id=OURS, cluster_id=CLUSTER, cluster_epoch=2)
NOWHERE = Identity(coordinator_id=1, directory_id=OURS)
MEMBERS = [
    QuorumMember(coordinator_id=1, directory_id=OURS, voter=True),
    QuorumMember(coordinator_id=2, directory_id=THEIRS, voter=True),
]
QUORUM = QuorumRecord(cluster_epoch=2, members=MEMBERS)


def hello(**changes: object) -> RaftHello:
    said = RaftHello(
        cluster_id=CLUSTER,
        cluster_epoch=2,
        coordinator_id=2,
        directory_id=THEIRS,
        quorum_index=10,
        to_coordinator_id=1,
        to_directory_id=OURS,
    )
    said.MergeFrom(RaftHello(**changes))  # type: ignore[arg-type]
    return said


def code(said: RaftHello, identity: Identity = HERE, quorum_index: int = 10) -> ErrorCode.ValueType:
    outcome = admit(said, identity, QUORUM, quorum_index)
    return errors_pb2.NONE if isinstance(outcome, Admission) else outcome.code


def test_a_member_is_let_in() -> None:
    assert admit(hello(), HERE, QUORUM, 10) is Admission.MEMBER


def test_an_unformatted_directory_joins_only_who_names_it() -> None:
    assert admit(hello(), NOWHERE, None, 0) is Admission.JOIN
    assert code(hello(to_directory_id=EMPTIED), NOWHERE) == errors_pb2.WRONG_DIRECTORY


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"cluster_id": "D" * 22}, errors_pb2.CLUSTER_MISMATCH),
        ({"cluster_epoch": 1}, errors_pb2.CLUSTER_MISMATCH),
        ({"cluster_epoch": 3}, errors_pb2.CLUSTER_MISMATCH),
        ({"to_directory_id": EMPTIED}, errors_pb2.WRONG_DIRECTORY),
        ({"to_coordinator_id": 3}, errors_pb2.WRONG_DIRECTORY),
    ],
)
def test_who_means_another_is_refused(changes: dict[str, object], expected: ErrorCode.ValueType) -> None:
    assert code(hello(**changes)) == expected


def test_who_was_removed_is_refused_by_those_who_know_it() -> None:
    assert code(hello(directory_id=EMPTIED), quorum_index=11) == errors_pb2.REMOVED
    assert code(hello(coordinator_id=3), quorum_index=11) == errors_pb2.REMOVED


def test_who_knows_a_newer_quorum_is_let_in_although_the_older_does_not_list_it() -> None:
    assert code(hello(coordinator_id=3), quorum_index=9) == errors_pb2.NONE


def test_a_refusal_says_who_refuses() -> None:
    outcome = admit(hello(to_directory_id=EMPTIED), HERE, QUORUM, 10)
    assert not isinstance(outcome, Admission)
    said = refusal(outcome, HERE)
    assert (said.coordinator_id, said.directory_id, said.cluster_id) == (1, OURS, CLUSTER)
    assert said.error.code == errors_pb2.WRONG_DIRECTORY
