"""A follower's side of the log: appends, heartbeats, and snapshots in place of entries (thesis 3.5, chapter
5).

A success is promised, and so leaves when the entries are durable; what was committed is never dropped.
"""

from __future__ import annotations

from streamkeep_coordinator.raft.core import Core
from streamkeep_coordinator.raft.errors import RaftInvariantError
from streamkeep_proto.v1.raft_pb2 import (
    AppendRequest,
    AppendResponse,
    HeartbeatResponse,
    RaftMessage,
)


def on_append_request(core: Core, message: RaftMessage) -> None:
    core.follow(message)
    request = message.append_request
    if not _has_previous(core, request):
        core.answer(message, append_response=_rejection(core, request))
        return
    _append(core, request)
    end = request.previous_index + len(request.entries)
    core.log.commit_to(min(request.committed_index, max(end, core.log.committed_index)))
    _promise_agreement(core, message, max(end, core.log.committed_index))


def on_heartbeat(core: Core, message: RaftMessage) -> None:
    """The answer promises nothing that a crash could take back: a majority's votes made the leader."""
    core.follow(message)
    core.log.commit_to(message.heartbeat.committed_index)
    core.answer(message, heartbeat_response=HeartbeatResponse(round=message.heartbeat.round))


def on_snapshot_received(core: Core, message: RaftMessage) -> None:
    """It takes the place of the log only if the log has not got its last entry (chapter 5)."""
    core.follow(message)
    snapshot = message.snapshot_received
    if core.log.term_at(snapshot.index) == snapshot.last_term:
        core.log.commit_to(snapshot.index)
    elif snapshot.index > core.log.committed_index:
        core.log.restore(snapshot)
        core.refresh_members()
    _promise_agreement(core, message, core.log.committed_index)


def _has_previous(core: Core, request: AppendRequest) -> bool:
    """What the base stands for was committed, so every leader has it."""
    if request.previous_index < core.log.base_index:
        return True
    return core.log.term_at(request.previous_index) == request.previous_term


def _append(core: Core, request: AppendRequest) -> None:
    """What is here and equal stays; from the first difference on, the leader's entries replace this log's
    (3.5).
    """
    before = core.log.quorum
    is_new = False
    for index, entry in enumerate(request.entries, start=request.previous_index + 1):
        if entry.index != index:
            raise RaftInvariantError(f"entry {entry.index} stands where {index} belongs")
        if not is_new and index > core.log.base_index:
            term = core.log.term_at(index)
            is_new = term != entry.term
            if is_new and term is not None:
                core.log.truncate(index)
        if is_new:
            core.log.append(entry)
    if core.log.quorum is not before:
        core.refresh_members()


def _rejection(core: Core, request: AppendRequest) -> AppendResponse:
    """With a hint by term: the newest entry here that the leader may have too. A term a round trip, not an
    entry.
    """
    hint_index, hint_term = core.log.last_not_after(request.previous_index, request.previous_term)
    return AppendResponse(
        rejected=True, index=request.previous_index, hint_index=hint_index, hint_term=hint_term
    )


def _promise_agreement(core: Core, message: RaftMessage, index: int) -> None:
    core.promise_answer(message, append_response=AppendResponse(index=index))
