"""The quorum: the coordinators that keep the metadata, and who of them is active."""

from __future__ import annotations

from collections.abc import Iterable

from streamkeep.blocking.admin.base import AdminBase
from streamkeep_proto.v1.raft_pb2 import (
    ChangeQuorumResponse,
    DescribeQuorumResponse,
    InitializeClusterResponse,
)


class QuorumAdmin(AdminBase):
    """See `Admin`."""

    def initialize_cluster(self, members: Iterable[tuple[int, str]]) -> InitializeClusterResponse:
        """Make a new cluster out of coordinators, each (id, "host:port"), with empty data directories."""
        return self._call(self._on_loop.initialize_cluster(members))

    def describe_quorum(self) -> DescribeQuorumResponse:
        """The members of the quorum, who is active, and how far each member has come."""
        return self._call(self._on_loop.describe_quorum())

    def add_coordinator(self, coordinator_id: int, address: str) -> ChangeQuorumResponse:
        """Let in a coordinator that runs with an empty data directory. It learns first, and votes as soon
        as it has caught up."""
        return self._call(self._on_loop.add_coordinator(coordinator_id, address))

    def remove_coordinator(self, coordinator_id: int) -> ChangeQuorumResponse:
        """Put a coordinator out of the quorum for good; if it is the active one, another one becomes
        active."""
        return self._call(self._on_loop.remove_coordinator(coordinator_id))

    def transfer_leadership(self, coordinator_id: int = 0) -> ChangeQuorumResponse:
        """Make another voter the active coordinator; 0 = whichever has most of the log."""
        return self._call(self._on_loop.transfer_leadership(coordinator_id))
