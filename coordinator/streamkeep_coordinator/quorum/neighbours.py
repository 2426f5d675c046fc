"""What other coordinators have said of themselves: who they are, and why they do not take our messages."""

from __future__ import annotations

import logging

from streamkeep_common.errors import from_proto
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftHello, RaftRefusal

_logger = logging.getLogger(__name__)


class Neighbours:
    """The newest word of each, by coordinator id."""

    def __init__(self, local: LocalCoordinator) -> None:
        self._local = local
        self.greetings: dict[int, RaftHello] = {}
        self._refusals: dict[int, tuple[QuorumMember, RaftRefusal]] = {}

    def greet(self, hello: RaftHello) -> None:
        """It speaks to us, and was let in.

        Between two followers nothing but this may be said for a long time.
        """
        self.greetings[hello.coordinator_id] = hello
        self.heard(hello.coordinator_id, hello.directory_id)

    def refused(self, member: QuorumMember, refusal: RaftRefusal) -> None:
        """It does not take our messages."""
        known = self._refusals.get(member.coordinator_id)
        if known is None or known[1].error.message != refusal.error.message:
            reason = from_proto(refusal.error).message
            _logger.warning("coordinator %d refuses our messages: %s", member.coordinator_id, reason)
        self._refusals[member.coordinator_id] = (member, refusal)

    def heard(self, coordinator_id: int, directory_id: bytes) -> None:
        """A member speaks with this directory: what was refused in its place before is over."""
        refused = self._refusals.get(coordinator_id)
        if refused is not None and refused[0].directory_id == directory_id:
            del self._refusals[coordinator_id]

    def troubles(self, quorum: QuorumRecord | None) -> dict[int, str]:
        """Why members do not take our messages, for a person. That we were removed is not their trouble."""
        found: dict[int, str] = {}
        for member in quorum.members if quorum is not None else ():
            asked, refusal = self._refusals.get(member.coordinator_id, (member, RaftRefusal()))
            is_theirs = refusal.error.code not in (errors_pb2.NONE, errors_pb2.REMOVED)
            if is_theirs and asked.directory_id == member.directory_id:
                found[member.coordinator_id] = from_proto(refusal.error).message
        return found

    def strangers(self, quorum: QuorumRecord) -> dict[int, bytes]:
        """Directories that answer at the addresses of members in place of the ones that are listed.

        Only such as belong to no cluster, or to this one: another cluster's stays what it is.
        """
        found: dict[int, bytes] = {}
        for member in quorum.members:
            asked, refusal = self._refusals.get(member.coordinator_id, (member, RaftRefusal()))
            if refusal.error.code != errors_pb2.WRONG_DIRECTORY or asked.directory_id != member.directory_id:
                continue
            is_ours = refusal.cluster_id in ("", self._local.identity.cluster_id)
            if is_ours and refusal.coordinator_id == member.coordinator_id:
                found[member.coordinator_id] = refusal.directory_id
        return found
