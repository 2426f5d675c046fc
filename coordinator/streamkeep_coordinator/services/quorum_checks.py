"""Which changes of the quorum make sense, by what the active coordinator sees of its members. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from streamkeep_common.errors import InvalidQuorumChangeError, InvalidRequestError
from streamkeep_coordinator.metadata.limits import MAX_TEXT
from streamkeep_coordinator.quorum.form import is_address
from streamkeep_proto.v1.raft_pb2 import (
    MEMBER_UNREACHABLE,
    CoordinatorAddress,
    DescribeQuorumResponse,
    MemberStatus,
)

MAX_MEMBERS = 7
"""Each change waits for a majority: more members make the cluster slower, and hardly safer."""


def check_members(members: Sequence[CoordinatorAddress]) -> None:
    """The first members of a cluster. InvalidRequestError, InvalidQuorumChangeError."""
    if not 1 <= len(members) <= MAX_MEMBERS:
        raise InvalidQuorumChangeError(
            f"a cluster begins with 1 to {MAX_MEMBERS} members, not {len(members)}"
        )
    for member in members:
        _check_form(member)
    ids = [member.coordinator_id for member in members]
    if len(set(ids)) != len(ids):
        raise InvalidQuorumChangeError("two members have the same id: give each coordinator one of its own")


def check_add(view: DescribeQuorumResponse, coordinator: CoordinatorAddress) -> None:
    """A new member. InvalidRequestError, InvalidQuorumChangeError."""
    _check_form(coordinator)
    for member in view.members:
        if member.coordinator_id == coordinator.coordinator_id:
            raise InvalidQuorumChangeError(
                f"coordinator {member.coordinator_id} is a member already, at {member.address}: remove it "
                "first, or give the new one an id of its own"
            )
        if member.address == coordinator.address:
            raise InvalidQuorumChangeError(
                f"{member.address} is the address of coordinator {member.coordinator_id}, which is a member"
            )
    if len(view.members) >= MAX_MEMBERS:
        raise InvalidQuorumChangeError(f"a quorum has {MAX_MEMBERS} members at most: remove one first")


def check_remove(view: DescribeQuorumResponse, coordinator_id: int) -> None:
    """A member that leaves. InvalidQuorumChangeError if those who stay could not decide."""
    member = _member(view, coordinator_id)
    if not member.voter:
        return
    staying = [each for each in view.members if each.voter and each is not member]
    if not staying:
        raise InvalidQuorumChangeError(
            f"coordinator {coordinator_id} is the last voter: add another one before it is removed"
        )
    reachable = sum(_is_reachable(each) for each in staying)
    if reachable <= len(staying) // 2:
        raise InvalidQuorumChangeError(
            f"without coordinator {coordinator_id} only {reachable} of {len(staying)} voters could be "
            "reached, which is no majority: bring the others back, or remove them, first"
        )


def check_transfer(view: DescribeQuorumResponse, coordinator_id: int) -> None:
    """Who shall be active; 0 = whoever has most of the log. InvalidQuorumChangeError if it cannot be."""
    if not coordinator_id:
        return
    member = _member(view, coordinator_id)
    if not member.voter:
        raise InvalidQuorumChangeError(
            f"coordinator {coordinator_id} is a learner: it can be active once it has caught up and votes"
        )
    if not _is_reachable(member):
        raise InvalidQuorumChangeError(
            f"coordinator {coordinator_id} cannot be reached at {member.address}: start it, or choose "
            "another one"
        )


def _member(view: DescribeQuorumResponse, coordinator_id: int) -> MemberStatus:
    for member in view.members:
        if member.coordinator_id == coordinator_id:
            return member
    members = ", ".join(str(member.coordinator_id) for member in view.members)
    raise InvalidQuorumChangeError(f"coordinator {coordinator_id} is no member; the members are {members}")


def _is_reachable(member: MemberStatus) -> bool:
    return member.state != MEMBER_UNREACHABLE


def _check_form(coordinator: CoordinatorAddress) -> None:
    if coordinator.coordinator_id < 1:
        raise InvalidRequestError(f"coordinator ids start at 1, not {coordinator.coordinator_id}")
    if not is_address(coordinator.address):
        raise InvalidRequestError(f"{coordinator.address[:MAX_TEXT]!r} is not an address: give host:port")
