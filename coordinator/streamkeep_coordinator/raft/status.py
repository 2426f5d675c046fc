"""What a node tells of itself."""

from __future__ import annotations

from streamkeep_coordinator.raft.core import Core
from streamkeep_coordinator.raft.leadership import Leadership
from streamkeep_coordinator.raft.progress import ProgressState
from streamkeep_coordinator.raft.ready import MemberProgress, RaftStatus
from streamkeep_proto.v1.metadata_pb2 import QuorumMember


def status_of(core: Core) -> RaftStatus:
    leadership = core.leadership
    members = core.members.by_id.values() if leadership is not None else ()
    return RaftStatus(
        role=core.role,
        term=core.term,
        leader=core.leader,
        committed_index=core.log.committed_index,
        last_index=core.log.last_index,
        is_active=core.is_active,
        members=tuple(_member(core, leadership, each) for each in members if leadership is not None),
        transfer_target=leadership.transfer_target if leadership is not None else 0,
    )


def _member(core: Core, leadership: Leadership, member: QuorumMember) -> MemberProgress:
    peer = member.coordinator_id
    progress = leadership.progress.get(peer)
    match_index = core.log.stable_index if progress is None else progress.match_index
    return MemberProgress(
        coordinator_id=peer,
        directory_id=member.directory_id,
        voter=member.voter,
        match_index=match_index,
        state=ProgressState.REPLICATE if progress is None else progress.state,
        recently_active=progress is None or core.hears(peer),
        silent_ticks=0 if progress is None else leadership.tick - progress.heard_tick,
        lag=core.log.last_index - match_index,
    )
