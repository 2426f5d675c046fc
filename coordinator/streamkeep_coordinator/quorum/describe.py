"""The quorum in the words of QuorumService and of probes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from streamkeep_common.errors import NotActiveError, NotInitializedError, RemovedError, to_proto
from streamkeep_common.image import MAX_FEATURE_LEVEL, MIN_FEATURE_LEVEL
from streamkeep_coordinator.quorum.driver import Driver
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_coordinator.quorum.membership import PROMOTION_LAG
from streamkeep_coordinator.raft import MemberProgress, ProgressState
from streamkeep_proto.v1.metadata_pb2 import QuorumMember
from streamkeep_proto.v1.raft_pb2 import (
    MEMBER_ACTIVE,
    MEMBER_CATCHING_UP,
    MEMBER_FOLLOWING,
    MEMBER_UNKNOWN,
    MEMBER_UNREACHABLE,
    DescribeQuorumResponse,
    MemberState,
    MemberStatus,
    ProbeResponse,
)


def describe_quorum(
    driver: Driver, local: LocalCoordinator, troubles: Mapping[int, str], election_ticks: int
) -> DescribeQuorumResponse:
    """As this coordinator sees it. `troubles` are by coordinator id."""
    status = driver.node.status()
    response = DescribeQuorumResponse(
        cluster_id=local.identity.cluster_id,
        cluster_epoch=local.identity.cluster_epoch,
        stale=status.leader == 0,
        active_id=status.leader,
        term=status.term,
        committed_index=status.committed_index,
    )
    if not local.is_formatted:
        response.error.CopyFrom(
            to_proto(NotInitializedError(local.trouble or "it belongs to no cluster yet"))
        )
    elif local.removed:
        response.error.CopyFrom(to_proto(RemovedError(local.removed)))
    elif driver.active_address and not driver.is_active:
        response.error.CopyFrom(
            to_proto(NotActiveError("another one is active", active_address=driver.active_address))
        )
    seen = {each.coordinator_id: each for each in status.members}
    for member in driver.node.log.quorum.members if driver.node.log.quorum is not None else ():
        described = _describe(member, seen.get(member.coordinator_id), election_ticks)
        described.trouble = troubles.get(member.coordinator_id, "")
        if member.coordinator_id == local.id:
            described.trouble = local.removed or local.trouble
            described.last_index = status.last_index
            described.state = MEMBER_ACTIVE if status.leader == local.id else described.state
        response.members.append(described)
    return response


def describe_self(driver: Driver, local: LocalCoordinator) -> ProbeResponse:
    """Who is here, also before there is a cluster."""
    return ProbeResponse(
        coordinator_id=local.id,
        directory_id=local.directory_id,
        cluster_id=local.identity.cluster_id,
        cluster_epoch=local.identity.cluster_epoch,
        address=local.address,
        min_feature_level=MIN_FEATURE_LEVEL,
        max_feature_level=MAX_FEATURE_LEVEL,
        last_index=driver.node.log.last_index,
        active_id=driver.active_id,
        active_address=driver.active_address,
    )


def _describe(member: QuorumMember, seen: MemberProgress | None, election_ticks: int) -> MemberStatus:
    described = MemberStatus(
        coordinator_id=member.coordinator_id,
        address=member.address,
        directory_id=member.directory_id,
        voter=member.voter,
        state=MEMBER_UNKNOWN,
    )
    if seen is not None:
        described.state = _state(seen, election_ticks)
        described.last_index = seen.match_index
        described.lag = seen.lag
    return described


def _state(seen: MemberProgress, election_ticks: int) -> MemberState.ValueType:
    """Who has not answered since this term began may well be what ended the one before."""
    is_unheard = seen.state is ProgressState.PROBE and not seen.match_index
    if is_unheard or seen.silent_ticks >= election_ticks:
        return MEMBER_UNREACHABLE
    if seen.state is ProgressState.REPLICATE and seen.lag <= PROMOTION_LAG:
        return MEMBER_FOLLOWING
    return MEMBER_CATCHING_UP
