"""Which messages reach the rules: those for this very directory, from one that may speak, of this term
(thesis 3.3).

A newer term is taken over, except from a pre-vote, which begins none, and from a candidate while a leader is
heard (4.2.3). An older one is answered so that the sender learns of the newer: else a node that is ahead
could neither be elected (the others hear a leader) nor follow (that leader's term is older).
"""

from __future__ import annotations

from streamkeep_coordinator.raft import election
from streamkeep_coordinator.raft.core import Core
from streamkeep_proto.v1.raft_pb2 import HeartbeatResponse, RaftMessage, VoteResponse

FROM_MEMBERS = frozenset({"vote_response", "append_response", "heartbeat_response", "read_request"})
"""They count, or have an effect on the leader: not from a directory that the quorum does not list."""

FROM_LEADERS = frozenset({"append_request", "heartbeat", "snapshot_received", "timeout_now"})


def admit(core: Core, message: RaftMessage, kind: str) -> bool:
    """May raise this node's term, or answer a message of an older one."""
    if message.receiver != core.id or message.receiver_directory_id != core.config.directory_id:
        return False
    if message.sender == core.id:
        return False
    if kind in FROM_MEMBERS and not core.members.lists(message.sender, message.sender_directory_id):
        return False
    if kind in FROM_LEADERS and _is_impostor(core, message):
        return False
    if message.term > core.term:
        return _admit_newer(core, message, kind)
    if message.term < core.term:
        _answer_older(core, message, kind)
    return message.term == core.term


def _is_impostor(core: Core, message: RaftMessage) -> bool:
    """A stranger who speaks as a leader, against what is known here. One that the quorum does not list may
    lead, if the quorum that lists it has not come yet (4.1); but then nothing contradicts it. Of a member it
    would be a broken promise, which ends the process.
    """
    if core.members.lists(message.sender, message.sender_directory_id):
        return False
    log = core.log
    is_rival = message.term == core.term and core.leader not in (0, message.sender)
    drops_committed = any(
        log.term_at(entry.index) not in (None, entry.term)
        for entry in message.append_request.entries
        if entry.index <= log.committed_index
    )
    return is_rival or drops_committed or message.heartbeat.committed_index > log.last_index


def _admit_newer(core: Core, message: RaftMessage, kind: str) -> bool:
    if kind == "vote_request":
        if message.vote_request.pre_vote:
            return True
        if election.hears_leader(core) and not message.vote_request.is_transfer:
            return False
    elif kind == "vote_response" and message.vote_response.pre_vote and message.vote_response.granted:
        return True
    core.begin_term(message.term)
    return True


def _answer_older(core: Core, message: RaftMessage, kind: str) -> None:
    if kind in FROM_LEADERS:
        core.answer(message, heartbeat_response=HeartbeatResponse())
    elif kind == "vote_request":
        refusal = VoteResponse(pre_vote=message.vote_request.pre_vote, granted=False)
        core.answer(message, vote_response=refusal)
