"""What a change of the quorum means, and when it is done."""

from __future__ import annotations

import asyncio

from streamctl.cluster import Cluster
from streamctl.failures import CommandError, ExitCode
from streamctl.output import counted
from streamctl.progress import Stall
from streamctl.quorum import state_word
from streamkeep_proto.v1.raft_pb2 import DescribeQuorumResponse, MemberStatus

LOOK_S = 0.1
"""Between two looks at a learner."""


def removal(quorum: DescribeQuorumResponse, number: int) -> str:
    """What goes and what is left, in words. CommandError if there is no such member, or it is the last."""
    member = _member(quorum, number)
    if member is None:
        ids = ", ".join(str(member.coordinator_id) for member in quorum.members)
        raise CommandError(
            f"coordinator {number} is not in the quorum; its members are {ids}", ExitCode.NOT_FOUND
        )
    left = sum(other.voter for other in quorum.members if other.coordinator_id != number)
    if not left:
        raise CommandError(f"coordinator {number} is the only voter: without it there would be no cluster")
    stay = f"{counted(left, 'voter')} {'stays' if left == 1 else 'stay'}"
    words = f"coordinator {number} ({state_word(member)}) at {member.address}"
    if not member.voter:
        return f"{words}, a learner; {stay}"
    spare = left - (left // 2 + 1)
    return f"{words}, a voter; {stay}, of which {spare} may fail"


async def until_it_votes(cluster: Cluster, number: int, *, stall_timeout_s: float) -> DescribeQuorumResponse:
    """Return the quorum in which it votes. CommandError when it has made no progress for the time given."""
    stall = Stall(stall_timeout_s)
    last_index = 0
    while True:
        quorum = await cluster.quorum()
        member = _member(quorum, number)
        if member is not None and member.voter:
            return quorum
        if member is not None:
            last_index = max(last_index, member.last_index)
        if stall.is_over(last_index):
            raise CommandError(_not_yet(number, member, stall_timeout_s), ExitCode.UNAVAILABLE)
        await asyncio.sleep(LOOK_S)


def _not_yet(number: int, member: MemberStatus | None, stall_timeout_s: float) -> str:
    if member is None:
        return f"coordinator {number} is not in the quorum any more: somebody has removed it"
    trouble = f", {member.trouble}" if member.trouble else ""
    return (
        f"coordinator {number} is {state_word(member)} at {member.address}{trouble}, and has made no progress"
        f" for {stall_timeout_s:.0f} s: it stays a learner and votes as soon as it has everything"
    )


def _member(quorum: DescribeQuorumResponse, number: int) -> MemberStatus | None:
    return next((member for member in quorum.members if member.coordinator_id == number), None)
