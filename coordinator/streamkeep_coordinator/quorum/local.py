"""What this coordinator says of itself: identity, address, and what is wrong with it."""

from __future__ import annotations

import logging

from streamkeep_common.image import MAX_FEATURE_LEVEL, MIN_FEATURE_LEVEL
from streamkeep_coordinator.storage.directory import Identity
from streamkeep_proto.v1.metadata_pb2 import QuorumMember
from streamkeep_proto.v1.raft_pb2 import RaftHello

_logger = logging.getLogger(__name__)


class LocalCoordinator:
    """One for the process. `identity` changes once, when an unformatted directory joins a cluster."""

    def __init__(self, identity: Identity, address: str, *, trouble: str = "") -> None:
        self.identity = identity
        self.address = address
        self.trouble = trouble
        self.removed = ""

    @property
    def id(self) -> int:
        return self.identity.coordinator_id

    @property
    def directory_id(self) -> bytes:
        return self.identity.directory_id

    @property
    def is_formatted(self) -> bool:
        """The directory belongs to a cluster."""
        return bool(self.identity.cluster_id)

    def note_removed(self, reason: str) -> None:
        """This coordinator is no member any more, as a member or its own log says."""
        if not self.removed:
            _logger.error("coordinator %d is out of the quorum: %s", self.id, reason)
        self.removed = reason

    def note_member(self) -> None:
        """A member speaks to this coordinator, so it is one."""
        if self.removed:
            _logger.info("coordinator %d is in the quorum again", self.id)
        self.removed = ""

    def member(self, *, voter: bool) -> QuorumMember:
        """This coordinator as a quorum lists it."""
        return QuorumMember(
            coordinator_id=self.id,
            directory_id=self.directory_id,
            address=self.address,
            voter=voter,
            min_feature_level=MIN_FEATURE_LEVEL,
            max_feature_level=MAX_FEATURE_LEVEL,
        )

    def hello(self, to: QuorumMember, quorum_index: int) -> RaftHello:
        """What a stream to another member begins with."""
        return RaftHello(
            cluster_id=self.identity.cluster_id,
            cluster_epoch=self.identity.cluster_epoch,
            coordinator_id=self.id,
            directory_id=self.directory_id,
            address=self.address,
            min_feature_level=MIN_FEATURE_LEVEL,
            max_feature_level=MAX_FEATURE_LEVEL,
            quorum_index=quorum_index,
            to_coordinator_id=to.coordinator_id,
            to_directory_id=to.directory_id,
        )
