"""Leadership is handed to another voter (thesis 3.10): nothing is proposed until it has the whole log and is
told to campaign, or until an election timeout has passed.
"""

from __future__ import annotations

from streamkeep_coordinator.raft.core import Core
from streamkeep_coordinator.raft.errors import NotLeaderError, QuorumChangeError
from streamkeep_coordinator.raft.leadership import Leadership
from streamkeep_proto.v1.raft_pb2 import TimeoutNow


def begin(core: Core, to: int) -> None:
    """Asked again for the same target, nothing begins anew."""
    leadership = core.leadership
    if leadership is None:
        raise NotLeaderError(f"coordinator {core.id} does not lead")
    target = to or _most_advanced(core, leadership)
    if target == core.id or target not in core.members.voters:
        raise QuorumChangeError(
            f"coordinator {target} is no other voter" if target else "there is no other voter"
        )
    if target != leadership.transfer_target:
        leadership.transfer_target = target
        leadership.transfer_tick = leadership.tick
        leadership.transfer_is_told = False
        settle(core)


def has_heir(core: Core) -> bool:
    """There is another voter."""
    return any(voter != core.id for voter in core.members.voters)


def tick(core: Core, leadership: Leadership) -> None:
    """Given up after an election timeout, or when the target votes no more."""
    late = leadership.tick - leadership.transfer_tick >= core.config.election_ticks
    if late or leadership.transfer_target not in core.members.voters:
        leadership.transfer_target = 0


def settle(core: Core) -> None:
    """Tell the target to campaign, once, as soon as it has everything."""
    leadership = core.leadership
    if leadership is None or not leadership.transfer_target or leadership.transfer_is_told:
        return
    progress = leadership.progress[leadership.transfer_target]
    if progress.match_index == core.log.last_index:
        leadership.transfer_is_told = True
        core.send(leadership.transfer_target, progress.directory_id, timeout_now=TimeoutNow())


def leave(core: Core, leadership: Leadership) -> None:
    """This leader is out of the quorum (4.2.2): whoever has everything need not wait for a timeout."""
    heir = _most_advanced(core, leadership)
    if heir and leadership.progress[heir].match_index == core.log.last_index:
        core.send(heir, leadership.progress[heir].directory_id, timeout_now=TimeoutNow())


def _most_advanced(core: Core, leadership: Leadership) -> int:
    """0 if there is no other voter. Of equals the one that was heard last, then the lowest id."""
    others = [voter for voter in core.members.voters if voter != core.id]

    def standing(voter: int) -> tuple[int, int]:
        progress = leadership.progress[voter]
        return progress.match_index, progress.heard_tick

    return max(others, key=standing, default=0)
