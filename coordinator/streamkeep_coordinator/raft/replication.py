"""The leader's side of the log: who is sent what, what is committed, who still answers (thesis 3.5, 3.6.2,
6.2, 10.2.1).

What to send follows from the progress of each follower, and is worked out when the shell asks for it. While
an append is unanswered, only a full one follows it: what is proposed meanwhile would wait for the follower's
disk anyway, and so shares a message and a flush there (as Nagle's algorithm, RFC 896, does with segments).
"""

from __future__ import annotations

from streamkeep_coordinator.raft import reads, transfer
from streamkeep_coordinator.raft.core import Core
from streamkeep_coordinator.raft.leadership import Leadership
from streamkeep_coordinator.raft.majority import majority, reached_by_majority
from streamkeep_coordinator.raft.progress import Progress, ProgressState
from streamkeep_coordinator.raft.proposals import give_room
from streamkeep_coordinator.raft.roles import Event
from streamkeep_proto.v1.raft_pb2 import AppendRequest, Heartbeat, RaftMessage


def tick(core: Core, leadership: Leadership) -> None:
    leadership.tick += 1
    if not _is_heard(core):
        _step_down(core, Event.QUORUM_LOST)
        return
    transfer.tick(core, leadership)
    if core.disk_hangs and transfer.has_heir(core) and not _hands_over(core):
        _step_down(core, Event.DISK_HANGS)
        return
    if leadership.tick % core.config.heartbeat_ticks == 0:
        heartbeat(core, leadership)


def heartbeat(core: Core, leadership: Leadership) -> None:
    """A new round (6.4). The commit index is at most what the follower has: it can be believed alone."""
    leadership.round_number += 1
    for peer, progress in leadership.progress.items():
        committed = min(progress.match_index, core.log.committed_index)
        body = Heartbeat(committed_index=committed, round=leadership.round_number)
        core.send(peer, progress.directory_id, heartbeat=body)


def fill(core: Core, leadership: Leadership) -> None:
    """Send everybody what may be sent now, beside this node's own write (10.2.1)."""
    reads.settle(core, leadership)
    if reads.is_round_due(core, leadership):
        heartbeat(core, leadership)
        reads.begin_round(core, leadership)
    for peer, progress in leadership.progress.items():
        while progress.may_send(core.config.max_inflight_appends) and _is_due(core, progress):
            _send_next(core, peer, progress)


def on_append_response(core: Core, message: RaftMessage) -> None:
    leadership = core.leadership
    if leadership is None:
        return
    response = message.append_response
    progress = leadership.progress[message.sender]
    progress.alive(leadership.tick)
    if response.rejected:
        agreed, _ = core.log.last_not_after(response.hint_index, response.hint_term)
        progress.rejected(response.index, min(agreed, response.hint_index))
    elif progress.accepted(response.index, core.log.base_index):
        assert response.index <= core.log.last_index, "a follower has what was never sent"
        commit(core, leadership)
        transfer.settle(core)


def on_heartbeat_response(core: Core, message: RaftMessage) -> None:
    leadership = core.leadership
    if leadership is None:
        return
    progress = leadership.progress[message.sender]
    progress.alive(leadership.tick, round_number=message.heartbeat_response.round)
    progress.heartbeat_answered()
    reads.settle(core, leadership)


def commit(core: Core, leadership: Leadership) -> None:
    """What a majority of voters has made durable is committed, if it is of this term (3.6.2: entries of
    earlier terms only with it, never by counting).
    """
    before = core.log.committed_index
    index = reached_by_majority(_durable_index(core, leadership, voter) for voter in core.members.voters)
    if index <= before or core.log.term_at(index) != core.term:
        return
    core.log.commit_to(index)
    give_room(core, leadership, before + 1, index)
    if not core.is_voter and core.log.quorum_index <= index:
        transfer.leave(core, leadership)
        _step_down(core, Event.LEFT_QUORUM)


def _durable_index(core: Core, leadership: Leadership, voter: int) -> int:
    """Of a voter. An own entry counts once it is written here (10.2.1); a leader on its way out does not
    count.
    """
    if voter == core.id:
        return core.log.stable_index if core.is_voter else 0
    return leadership.progress[voter].match_index


def _is_heard(core: Core) -> bool:
    """Check-quorum (6.2): a majority of voters has answered within an election timeout."""
    heard = sum(core.hears(voter) for voter in core.members.voters)
    return heard >= majority(len(core.members.voters))


def _hands_over(core: Core) -> bool:
    """Nothing is applied where nothing becomes durable, and a disk that hangs says nothing: so somebody else
    is to lead. Whoever is asked has an election timeout; False when that is over.
    """
    if core.write_ticks == core.config.election_ticks:
        transfer.begin(core, 0)
    return core.write_ticks < 2 * core.config.election_ticks


def _step_down(core: Core, event: Event) -> None:
    core.lose_leader()
    core.change_role(event)


def _is_due(core: Core, progress: Progress) -> bool:
    if progress.state is ProgressState.PROBE or progress.is_stalled:
        return True
    if progress.inflight:
        return core.log.exceeds(progress.next_index, core.config.max_append_bytes)
    return progress.next_index <= core.log.last_index or progress.committed_sent < core.log.committed_index


def _send_next(core: Core, peer: int, progress: Progress) -> None:
    previous_index = progress.next_index - 1
    previous_term = core.log.term_at(previous_index)
    if previous_term is None:
        _send_snapshot(core, peer, progress)
        return
    last_index = previous_index if progress.is_stalled else core.log.last_index
    entries = core.log.slice(progress.next_index, last_index, core.config.max_append_bytes)
    request = AppendRequest(
        previous_index=previous_index,
        previous_term=previous_term,
        entries=entries,
        committed_index=core.log.committed_index,
    )
    core.send(peer, progress.directory_id, append_request=request)
    progress.sent(previous_index + len(entries), core.log.committed_index)


def _send_snapshot(core: Core, peer: int, progress: Progress) -> None:
    """Chapter 5. To nobody who has not answered lately: it could not arrive."""
    if core.hears(peer):
        progress.snapshot()
        core.snapshots.append(peer)
    else:
        progress.probe()
        progress.is_waiting = True
