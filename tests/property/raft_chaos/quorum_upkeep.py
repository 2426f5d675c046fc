"""The quorum is brought back to everybody, as the shell of the active coordinator manages it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamkeep_coordinator.raft import ProgressState, RaftNode
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from tests.property.raft_chaos.member import Member

if TYPE_CHECKING:
    from tests.property.raft_chaos.world import World


def quorum_of(node: RaftNode) -> QuorumRecord:
    if node.log.quorum is None:
        raise LookupError("a leader without a quorum")
    return node.log.quorum


def keep_up_the_quorum(world: World) -> None:
    for leader, node in world.leaders():
        if node.is_active and world.rng.random() < 0.3:
            _improve(world, leader, node)


def _improve(world: World, leader: Member, node: RaftNode) -> None:
    """One change, if there is one to make: who is missing, emptied or ready to vote."""
    status = node.status()
    members = quorum_of(node).members
    listed = {each.coordinator_id: each for each in members}
    for each in world.ids:
        directory_id = world.members[each].disk.directory_id
        others = [member for member in members if member.coordinator_id != each]
        new = QuorumMember(coordinator_id=each, directory_id=directory_id)
        if each not in listed:
            return world.propose_quorum(leader, [*others, new])
        if listed[each].directory_id != directory_id:
            return world.propose_quorum(leader, others)
        progress = next(one for one in status.members if one.coordinator_id == each)
        is_near = progress.state is ProgressState.REPLICATE and progress.lag < 3 and each != leader.id
        if not progress.voter and is_near:
            new.voter = True
            return world.propose_quorum(leader, [*others, new])
    return None
