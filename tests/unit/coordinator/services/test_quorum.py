"""What operators may do to the quorum, and the sentences that they get where they may not."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message

from streamkeep_common.errors import NotActiveError, TimedOutError, to_proto
from streamkeep_common.methods import (
    ADD_COORDINATOR,
    DESCRIBE_QUORUM,
    INITIALIZE_CLUSTER,
    REMOVE_COORDINATOR,
    TRANSFER_LEADERSHIP,
)
from streamkeep_common.seams import Channel, UnaryMethod
from streamkeep_coordinator.services.quorum import QuorumService
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.raft_pb2 import (
    MEMBER_ACTIVE,
    MEMBER_CATCHING_UP,
    MEMBER_FOLLOWING,
    MEMBER_UNREACHABLE,
    AddCoordinatorRequest,
    CoordinatorAddress,
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    InitializeClusterRequest,
    MemberState,
    MemberStatus,
    RemoveCoordinatorRequest,
    TransferLeadershipRequest,
)
from tests.unit.coordinator.control import FakeControl
from tests.unit.coordinator.members import Members, simulate_members

ADDRESS = "coordinator-1:7199"


def member(
    coordinator_id: int, state: MemberState.ValueType = MEMBER_FOLLOWING, *, voter: bool = True
) -> MemberStatus:
    return MemberStatus(
        coordinator_id=coordinator_id, address=f"c{coordinator_id}:7101", voter=voter, state=state
    )


def view(*others: MemberStatus) -> DescribeQuorumResponse:
    """Coordinator 1 is active and answers."""
    return DescribeQuorumResponse(active_id=1, members=[member(1, MEMBER_ACTIVE), *others])


async def serve(members: Members, control: FakeControl, at: int = 1) -> Channel:
    service = QuorumService(control, members[at].consensus).service()
    await members[1].machine.spawn(members[1].machine.network.serve(ADDRESS, [service]))
    return members.simulation.machine("operator").network.dial(ADDRESS)


def outcome(method: UnaryMethod[Any, Any], request: Message, control: FakeControl, *, at: int = 1) -> Any:
    """The answer to one request, asked of coordinator `at`; the first is active."""
    answers = []

    async def scenario(members: Members) -> None:
        client = await serve(members, control, at)
        answers.append(await client.call(method, request, timeout_s=5))

    simulate_members(scenario)
    return answers[0]


def add(coordinator_id: int, address: str) -> AddCoordinatorRequest:
    return AddCoordinatorRequest(
        coordinator=CoordinatorAddress(coordinator_id=coordinator_id, address=address)
    )


THREE = view(member(2), member(3))
ONE_DOWN = view(member(2), member(3, MEMBER_UNREACHABLE))


@pytest.mark.parametrize(
    ("method", "request_", "asked"),
    [
        (ADD_COORDINATOR, add(4, "c4:7101"), ("add", 4)),
        (REMOVE_COORDINATOR, RemoveCoordinatorRequest(coordinator_id=3), ("remove", 3)),
        (TRANSFER_LEADERSHIP, TransferLeadershipRequest(coordinator_id=2), ("transfer", 2)),
        (TRANSFER_LEADERSHIP, TransferLeadershipRequest(), ("transfer", 0)),
    ],
)
def test_a_change_that_makes_sense_is_carried_out(
    method: UnaryMethod[Any, Any], request_: Message, asked: tuple[str, int]
) -> None:
    control = FakeControl(THREE)
    answer = outcome(method, request_, control)
    assert (answer.HasField("error"), answer.active_id, control.asked) == (False, 1, [asked])


@pytest.mark.parametrize(
    ("method", "request_", "seen", "sentence"),
    [
        (ADD_COORDINATOR, add(3, "new:7101"), THREE, "coordinator 3 is a member already, at c3:7101"),
        (ADD_COORDINATOR, add(4, "c3:7101"), THREE, "c3:7101 is the address of coordinator 3"),
        (ADD_COORDINATOR, add(0, "c4:7101"), THREE, "coordinator ids start at 1, not 0"),
        (ADD_COORDINATOR, add(4, "c4"), THREE, "'c4' is not an address: give host:port"),
        (ADD_COORDINATOR, add(4, "a b:999999"), THREE, "'a b:999999' is not an address: give host:port"),
        (
            ADD_COORDINATOR,
            add(9, "c9:7101"),
            view(*(member(each) for each in range(2, 8))),
            "a quorum has 7 members at most",
        ),
        (
            REMOVE_COORDINATOR,
            RemoveCoordinatorRequest(coordinator_id=9),
            THREE,
            "coordinator 9 is no member; the members are 1, 2, 3",
        ),
        (
            REMOVE_COORDINATOR,
            RemoveCoordinatorRequest(coordinator_id=1),
            view(member(2, voter=False)),
            "coordinator 1 is the last voter",
        ),
        (
            REMOVE_COORDINATOR,
            RemoveCoordinatorRequest(coordinator_id=2),
            ONE_DOWN,
            "without coordinator 2 only 1 of 2 voters could be reached",
        ),
        (
            TRANSFER_LEADERSHIP,
            TransferLeadershipRequest(coordinator_id=9),
            THREE,
            "coordinator 9 is no member",
        ),
        (
            TRANSFER_LEADERSHIP,
            TransferLeadershipRequest(coordinator_id=2),
            view(member(2, MEMBER_CATCHING_UP, voter=False)),
            "coordinator 2 is a learner",
        ),
        (
            TRANSFER_LEADERSHIP,
            TransferLeadershipRequest(coordinator_id=3),
            ONE_DOWN,
            "coordinator 3 cannot be reached at c3:7101",
        ),
    ],
)
def test_a_change_that_would_not_work_or_do_harm_is_refused_with_a_sentence(
    method: UnaryMethod[Any, Any], request_: Message, seen: DescribeQuorumResponse, sentence: str
) -> None:
    control = FakeControl(seen)
    answer = outcome(method, request_, control)
    assert answer.error.code in (errors_pb2.INVALID_QUORUM_CHANGE, errors_pb2.INVALID_REQUEST)
    assert sentence in answer.error.message
    assert control.asked == []


@pytest.mark.parametrize(
    ("coordinator_id", "seen"),
    [
        (3, ONE_DOWN),
        (5, view(*(member(each) for each in (2, 3)), *(member(each, MEMBER_UNREACHABLE) for each in (4, 5)))),
        (2, view(member(2, MEMBER_UNREACHABLE, voter=False))),
        (1, THREE),
    ],
)
def test_a_member_that_is_down_or_not_needed_can_be_removed(
    coordinator_id: int, seen: DescribeQuorumResponse
) -> None:
    control = FakeControl(seen)
    outcome(REMOVE_COORDINATOR, RemoveCoordinatorRequest(coordinator_id=coordinator_id), control)
    assert control.asked == [("remove", coordinator_id)]


def test_others_than_the_active_coordinator_redirect_changes() -> None:
    error = to_proto(NotActiveError("another one is active", active_address="c1:7101"))
    control = FakeControl(DescribeQuorumResponse(error=error, active_id=1, members=[member(2)]))
    answer = outcome(REMOVE_COORDINATOR, RemoveCoordinatorRequest(coordinator_id=9), control, at=2)
    assert (answer.error.code, answer.error.active_address) == (errors_pb2.NOT_ACTIVE, "c1:7101")
    control.view.ClearField("error")
    answer = outcome(REMOVE_COORDINATOR, RemoveCoordinatorRequest(coordinator_id=9), control, at=2)
    assert (answer.error.code, answer.error.active_address) == (errors_pb2.NOT_ACTIVE, "")
    assert control.asked == []


def test_a_change_that_fails_says_why_and_who_is_active_now() -> None:
    control = FakeControl(THREE)
    control.error = TimedOutError("leadership is still here")
    answer = outcome(TRANSFER_LEADERSHIP, TransferLeadershipRequest(coordinator_id=2), control)
    assert (answer.error.code, answer.active_id) == (errors_pb2.TIMED_OUT, 1)


def test_the_quorum_is_described_as_it_is_seen() -> None:
    assert outcome(DESCRIBE_QUORUM, DescribeQuorumRequest(), FakeControl(THREE)) == THREE


def initial(*ids: int, address: str = "c:7101") -> InitializeClusterRequest:
    return InitializeClusterRequest(
        members=[CoordinatorAddress(coordinator_id=each, address=address) for each in ids]
    )


def test_a_cluster_is_made_of_the_members_named() -> None:
    control = FakeControl(DescribeQuorumResponse())
    answer = outcome(INITIALIZE_CLUSTER, initial(1, 2, 3), control)
    assert (answer.cluster_id, control.asked) == ("c" * 22, [("initialize", 3)])


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (initial(), "a cluster begins with 1 to 7 members, not 0"),
        (initial(*range(1, 9)), "a cluster begins with 1 to 7 members, not 8"),
        (initial(1, 2, 2), "two members have the same id"),
        (initial(1, address="c"), "'c' is not an address"),
    ],
)
def test_a_cluster_is_not_made_of_nonsense(request_: InitializeClusterRequest, sentence: str) -> None:
    control = FakeControl(DescribeQuorumResponse())
    answer = outcome(INITIALIZE_CLUSTER, request_, control)
    assert sentence in answer.error.message
    assert control.asked == []
