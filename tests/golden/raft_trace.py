"""The words of a trace: how messages, entries, writes, quorums and states of nodes are written down."""

from __future__ import annotations

from collections.abc import Callable

from streamkeep_coordinator.raft import RaftNode, Role, Write
from streamkeep_proto.v1.metadata_pb2 import QuorumRecord
from streamkeep_proto.v1.raft_pb2 import (
    AppendRequest,
    AppendResponse,
    RaftEntry,
    RaftMessage,
    VoteRequest,
    VoteResponse,
)


def route_text(message: RaftMessage) -> str:
    return f"{who(message.sender_directory_id)} to {who(message.receiver_directory_id)}"


def who(directory_id: bytes) -> str:
    return directory_id.decode().rstrip(".")


def state_text(node: RaftNode) -> str:
    following = f" of {node.leader}" if node.role is Role.FOLLOWER and node.leader else ""
    return f"{node.role.value}{following} in term {node.term}"


def _quorum_text(quorum: QuorumRecord) -> str:
    members = (
        who(each.directory_id) if each.voter else f"({who(each.directory_id)})" for each in quorum.members
    )
    return "{" + " ".join(members) + "}"


def entry_text(entry: RaftEntry) -> str:
    data = entry.data.decode().rstrip(".")
    what = _quorum_text(entry.quorum) if entry.HasField("quorum") else f"'{data}'"
    return f"{entry.index}/{entry.term} {what}"


def write_text(write: Write) -> str:
    parts = []
    if write.hard_state is not None:
        parts.append(
            f"term {write.hard_state.term} vote {write.hard_state.vote or '-'}"
            f" commit {write.hard_state.committed_index}"
        )
    if write.snapshot is not None:
        parts.append(f"snapshot {write.snapshot.index}/{write.snapshot.last_term} in place of the log")
    if write.truncate_from:
        parts.append(f"nothing from {write.truncate_from} on")
    return ", ".join(parts + [entry_text(each) for each in write.entries])


def message_text(message: RaftMessage) -> str:
    kind = str(message.WhichOneof("body"))
    return f"{_BODIES[kind](getattr(message, kind))}, term {message.term}"


def _vote_request(body: VoteRequest) -> str:
    name = "pre-vote?" if body.pre_vote else "vote?"
    handed = " handed over" if body.is_transfer else ""
    return f"{name} log up to {body.last_index}/{body.last_term}{handed}"


def _vote_response(body: VoteResponse) -> str:
    return f"{'pre-vote' if body.pre_vote else 'vote'} {'yes' if body.granted else 'no'}"


def _append_request(body: AppendRequest) -> str:
    entries = " ".join(map(entry_text, body.entries)) or "nothing"
    return (
        f"append after {body.previous_index}/{body.previous_term}: {entries}, commit {body.committed_index}"
    )


def _append_response(body: AppendResponse) -> str:
    if body.rejected:
        return f"has no such {body.index}, at most {body.hint_index}/{body.hint_term}"
    return f"has up to {body.index}"


_BODIES: dict[str, Callable[..., str]] = {
    "vote_request": _vote_request,
    "vote_response": _vote_response,
    "append_request": _append_request,
    "append_response": _append_response,
    "heartbeat": lambda body: f"heartbeat {body.round}, commit {body.committed_index}",
    "heartbeat_response": lambda body: f"heartbeat {body.round} heard",
    "read_request": lambda body: f"read {body.context}?",
    "read_response": lambda body: f"read {body.context} at {body.index}",
    "snapshot_received": lambda body: f"snapshot {body.index}/{body.last_term} is here",
    "timeout_now": lambda body: "campaign now",
}
