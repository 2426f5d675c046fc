"""What is remembered of the others' refusals, and for how long."""

from __future__ import annotations

from streamkeep_common.errors import WrongDirectoryError, to_proto
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_coordinator.quorum.neighbours import Neighbours
from streamkeep_coordinator.storage.identity import Identity
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftHello, RaftRefusal

CLUSTER = "c" * 22
LISTED, STRANGER = b"3" * 16, b"x" * 16


def _refused() -> tuple[Neighbours, QuorumRecord]:
    """Another directory has answered in the place of coordinator 3's."""
    neighbours = Neighbours(LocalCoordinator(Identity(1, b"1" * 16, CLUSTER, 1), "c1:7101"))
    member = QuorumMember(coordinator_id=3, directory_id=LISTED, address="c3:7101", voter=True)
    error = to_proto(WrongDirectoryError("another one"))
    neighbours.refused(member, RaftRefusal(error=error, coordinator_id=3, directory_id=STRANGER))
    return neighbours, QuorumRecord(members=[member])


def test_a_directory_that_answers_in_place_of_a_members_is_a_stranger() -> None:
    neighbours, quorum = _refused()
    assert neighbours.strangers(quorum) == {3: STRANGER}


def test_a_member_that_is_back_with_its_own_directory_is_not_replaced_for_what_was_there_meanwhile() -> None:
    neighbours, quorum = _refused()
    neighbours.greet(RaftHello(coordinator_id=3, directory_id=LISTED))
    assert neighbours.strangers(quorum) == {}
    assert neighbours.troubles(quorum) == {}


def test_a_greeting_of_the_stranger_changes_nothing() -> None:
    neighbours, quorum = _refused()
    neighbours.greet(RaftHello(coordinator_id=3, directory_id=STRANGER))
    assert neighbours.strangers(quorum) == {3: STRANGER}
