"""What a leader puts at the end of its log: the no-op of its term, what it is asked to, and changes of the
quorum (thesis 3.5, 4.1, 6.4). How much may wait there for a majority is bounded.
"""

from __future__ import annotations

from streamkeep_coordinator.raft.core import Core
from streamkeep_coordinator.raft.errors import (
    NotLeaderError,
    QuorumChangeError,
    TooMuchUncommittedError,
    TransferInProgressError,
)
from streamkeep_coordinator.raft.leadership import Leadership
from streamkeep_coordinator.raft.log import ENTRY_OVERHEAD_BYTES
from streamkeep_coordinator.raft.majority import majority
from streamkeep_coordinator.raft.membership import check_change
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry


def append_no_op(core: Core) -> None:
    """It makes what earlier terms left committable (3.6.2), and says when this leader may serve (6.4)."""
    index = core.log.last_index + 1
    core.log.append(RaftEntry(index=index, term=core.term, data=core.make_no_op(index, core.term)))


def propose(core: Core, data: bytes, quorum: QuorumRecord | None) -> RaftEntry:
    leadership = core.leadership
    if leadership is None:
        raise NotLeaderError(f"coordinator {core.id} does not lead")
    if leadership.transfer_target:
        raise TransferInProgressError(f"leadership is being handed to {leadership.transfer_target}")
    if quorum is not None:
        _check_quorum_change(core, quorum)
    _take_room(core, leadership, len(data) + ENTRY_OVERHEAD_BYTES)
    entry = RaftEntry(index=core.log.last_index + 1, term=core.term, data=data, quorum=quorum)
    core.log.append(entry)
    if quorum is not None:
        core.refresh_members()
    return entry


def give_room(core: Core, leadership: Leadership, first: int, last: int) -> None:
    """The entries from `first` to `last` were committed just now."""
    for index in range(max(first, leadership.no_op_index + 1), last + 1):
        leadership.uncommitted_bytes -= core.log.size(index)
    assert leadership.uncommitted_bytes >= 0


def _take_room(core: Core, leadership: Leadership, size: int) -> None:
    """One proposal is always taken, however large: else it could never be made."""
    waiting = leadership.uncommitted_bytes
    if waiting and waiting + size > core.config.max_uncommitted_bytes:
        raise TooMuchUncommittedError(f"{waiting} bytes wait for a majority already")
    leadership.uncommitted_bytes += size


def _check_quorum_change(core: Core, quorum: QuorumRecord) -> None:
    """Thesis 4.1, with what its author added in 2015: not before an entry of this term is committed."""
    if not core.is_active:
        raise QuorumChangeError("no entry of this term is committed yet")
    if core.log.quorum_index > core.log.committed_index:
        raise QuorumChangeError(f"the change at {core.log.quorum_index} is not committed yet")
    check_change(core.log.quorum, quorum)
    voters = [each for each in quorum.members if each.voter]
    if sum(_answers(core, each) for each in voters) < majority(len(voters)):
        raise QuorumChangeError("of that quorum no majority answers: nothing could be committed any more")


def _answers(core: Core, member: QuorumMember) -> bool:
    is_known = core.members.lists(member.coordinator_id, member.directory_id)
    return is_known and core.hears(member.coordinator_id)
