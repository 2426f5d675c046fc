"""What other coordinators have said of themselves: who they are, and why they do not take our messages."""

from __future__ import annotations

import logging

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
        """It speaks to us, and was let in."""
        self.greetings[hello.coordinator_id] = hello

    def refused(self, member: QuorumMember, refusal: RaftRefusal) -> None:
        """It does not take our messages."""
        known = self._refusals.get(member.coordinator_id)
        if known is None or known[1].error.message != refusal.error.message:
            _logger.warning("coordinator %d refuses: %s", member.coordinator_id, refusal.error.message)
        self._refusals[member.coordinator_id] = (member, refusal)

    def heard(self, coordinator_id: int, directory_id: bytes) -> None:
        """A member speaks with this directory: what was refused in its place before is over."""
        refused = self._refusals.get(coordinator_id)
        if refused is not None and refused[0].directory_id == directory_id:
            del self._refusals[coordinator_id]

    def troubles(self) -> dict[int, str]:
        """Why members do not take our messages, for a person."""
        return {number: refusal.error.message for number, (_, refusal) in self._refusals.items()}

    def strangers(self, quorum: QuorumRecord) -> dict[int, bytes]:
        """Directories that answer at the addresses of members in place of the ones that are listed.

        Only such as belong to no cluster, or to this one: another cluster's stays what it is.
        """
        found: dict[int, bytes] = {}
        for member in quorum.members:
            asked, refusal = self._refusals.get(member.coordinator_id, (None, RaftRefusal()))
            is_ours = refusal.cluster_id in ("", self._local.identity.cluster_id)
            is_meant = asked == member and refusal.coordinator_id == member.coordinator_id
            if is_meant and is_ours and refusal.error.code == errors_pb2.WRONG_DIRECTORY:
                found[member.coordinator_id] = refusal.directory_id
        return found
