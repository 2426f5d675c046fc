"""What coordinators say to each other must look like this, whoever says it. Pure.

The core trusts what is well-formed, and takes a contradiction for a bug of its own, which ends the process:
what contradicts itself is the sender's fault, and is refused at the door.
"""

from __future__ import annotations

import re

from streamkeep_common.errors import InvalidRequestError
from streamkeep_common.limits import ID_BYTES
from streamkeep_coordinator.metadata.limits import MAX_TEXT
from streamkeep_proto.v1.raft_pb2 import AppendRequest, RaftHello, RaftMessage, SnapshotHeader

MAX_NUMBER = 2**62
"""Of terms and indexes: there is room above it to count on."""

_CLUSTER_ID = re.compile(r"[A-Za-z0-9_-]{22}")
_ADDRESS = re.compile(r"\S+:\d{1,5}")


def check_hello(hello: RaftHello) -> None:
    """InvalidRequestError if something is missing that says who speaks. The address may be."""
    is_complete = (
        _CLUSTER_ID.fullmatch(hello.cluster_id)
        and hello.cluster_epoch >= 1
        and hello.coordinator_id >= 1
        and len(hello.directory_id) == ID_BYTES
        and hello.coordinator_id != hello.to_coordinator_id
        and is_address(hello.address or "nowhere:0")
    )
    if not is_complete:
        raise InvalidRequestError("a stream between coordinators begins with a complete hello")


def check_message(message: RaftMessage) -> None:
    """InvalidRequestError if no coordinator would say that."""
    if not message.HasField("body"):
        raise InvalidRequestError("after the hello, messages of Raft are expected")
    if message.HasField("snapshot_received"):
        raise InvalidRequestError("a snapshot is brought by InstallSnapshot")
    if not 1 <= message.term <= MAX_NUMBER:
        raise InvalidRequestError(f"there is no term {message.term}")
    if message.HasField("append_request"):
        _check_append(message.append_request, message.term)


def check_snapshot(header: SnapshotHeader) -> None:
    """InvalidRequestError if no log could end there."""
    if not (1 <= header.last_term <= header.term <= MAX_NUMBER and 1 <= header.index <= MAX_NUMBER):
        raise InvalidRequestError(
            f"in term {header.term} there is no snapshot of entry {header.index} of term {header.last_term}"
        )


def is_address(text: str) -> bool:
    """host:port, as far as can be told by looking at it."""
    return len(text) <= MAX_TEXT and text.isprintable() and _ADDRESS.fullmatch(text) is not None


def _check_append(request: AppendRequest, term: int) -> None:
    index, last_term = request.previous_index, request.previous_term
    for entry in request.entries:
        if entry.index != index + 1 or not max(1, last_term) <= entry.term <= term:
            raise InvalidRequestError(
                f"entry {entry.index} of term {entry.term} cannot follow {index} of term {last_term}"
            )
        index, last_term = entry.index, entry.term
    if max(index, request.committed_index) > MAX_NUMBER:
        raise InvalidRequestError(f"no log is as long as {max(index, request.committed_index)} entries")
