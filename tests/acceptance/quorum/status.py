"""What the acceptance runs ask of a quorum, again and again, until it is so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streamkeep import Admin
from streamkeep_common.errors import StreamkeepError
from streamkeep_proto.v1 import raft_pb2
from streamkeep_proto.v1.raft_pb2 import DescribeQuorumResponse, MemberStatus

WELL = (raft_pb2.MEMBER_ACTIVE, raft_pb2.MEMBER_FOLLOWING)


async def quorum_when(
    admin: Admin, condition: Callable[[DescribeQuorumResponse], bool], *, within_s: float = 30.0
) -> DescribeQuorumResponse:
    """The first description that fulfils the condition. TimeoutError with the last one."""
    last: DescribeQuorumResponse | StreamkeepError | None = None
    try:
        async with asyncio.timeout(within_s):
            while True:
                try:
                    last = await admin.describe_quorum()
                    if condition(last):
                        return last
                except StreamkeepError as error:
                    last = error
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise TimeoutError(f"not within {within_s} s; at last: {last}") from None


async def active_id(admin: Admin) -> int:
    """Who is active now; waits for somebody."""
    described = await quorum_when(admin, lambda quorum: bool(quorum.active_id) and not quorum.stale)
    return described.active_id


def all_well(voters: int) -> Callable[[DescribeQuorumResponse], bool]:
    """So many voters, no learner, and all of them follow."""

    def condition(quorum: DescribeQuorumResponse) -> bool:
        members: list[MemberStatus] = list(quorum.members)
        return (
            not quorum.stale
            and len(members) == voters
            and all(member.voter and member.state in WELL and not member.lag for member in members)
        )

    return condition
