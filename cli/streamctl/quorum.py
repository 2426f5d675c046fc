"""The quorum in the words and columns of the command line. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from streamctl.output import Cell, Table
from streamkeep_proto.v1.raft_pb2 import (
    MEMBER_ACTIVE,
    MEMBER_CATCHING_UP,
    MEMBER_FOLLOWING,
    MEMBER_UNREACHABLE,
    DescribeQuorumResponse,
    MemberStatus,
)

UNKNOWN = "unknown"
_STATES = {
    MEMBER_ACTIVE: "active",
    MEMBER_FOLLOWING: "following",
    MEMBER_CATCHING_UP: "catching-up",
    MEMBER_UNREACHABLE: "unreachable",
}


def quorum_fields(quorum: DescribeQuorumResponse) -> dict[str, object]:
    """Everything, as JSON has it."""
    return {
        "active": quorum.active_id or None,
        "term": quorum.term,
        "voters": [member_fields(member) for member in quorum.members if member.voter],
        "learners": [member_fields(member) for member in quorum.members if not member.voter],
        "committed_index": quorum.committed_index,
        "cluster_id": quorum.cluster_id,
        "cluster_epoch": quorum.cluster_epoch,
        "stale": quorum.stale,
    }


def member_fields(member: MemberStatus) -> dict[str, Cell]:
    """One member, as JSON has it. Only the active coordinator knows how far the others are behind."""
    state = state_word(member)
    return {
        "id": member.coordinator_id,
        "address": member.address,
        "state": state,
        "last_index": member.last_index or None,
        "lag": None if state == UNKNOWN else member.lag,
        "directory_id": member.directory_id.hex(),
        "trouble": member.trouble or None,
    }


def quorum_table(quorum: DescribeQuorumResponse) -> Table:
    """The quorum as a whole, in one line."""
    columns = ("CLUSTER", "EPOCH", "ACTIVE", "TERM", "COMMITTED")
    cells = (quorum.cluster_epoch, quorum.active_id or None, quorum.term, quorum.committed_index)
    return Table(columns, [(quorum.cluster_id, *cells)])


def members_table(members: Iterable[MemberStatus]) -> Table:
    """A line a member; the column of troubles only if there are any."""
    members = list(members)
    columns = ["COORDINATOR", "ADDRESS", "VOTE", "STATE", "LAST INDEX", "LAG"]
    rows = [_row(member) for member in members]
    if any(member.trouble for member in members):
        columns.append("TROUBLE")
        rows = [[*row, member.trouble or None] for row, member in zip(rows, members, strict=True)]
    return Table(columns, rows)


def _row(member: MemberStatus) -> list[Cell]:
    fields = member_fields(member)
    vote = "voter" if member.voter else "learner"
    return [fields["id"], fields["address"], vote, *(fields[name] for name in ("state", "last_index", "lag"))]


def state_word(member: MemberStatus) -> str:
    """How the member is seen; also of a state that a newer coordinator may know."""
    return _STATES.get(member.state, UNKNOWN)


def staleness(quorum: DescribeQuorumResponse) -> str:
    """What to tell a person of an answer without a quorum."""
    voters = sum(member.voter for member in quorum.members)
    return (
        "There is no quorum: this is what the coordinator that answered knows, and it may be old. Start the"
        f" coordinators that are down: {voters // 2 + 1} of the {voters} voters must reach each other."
    )
