"""What replicas hold: their sizes, and whether they are the same, byte by byte."""

from __future__ import annotations

from collections.abc import Iterable

from streamkeep.admin.replicas import VerifiedPartition
from streamkeep.blocking.admin.base import AdminBase
from streamkeep.topic_partition import TopicPartition
from streamkeep_proto.v1.broker_pb2 import LogDirReplica


class ReplicaAdmin(AdminBase):
    """See `Admin`."""

    def replica_sizes(self, broker_ids: Iterable[int] = ()) -> dict[TopicPartition, dict[int, LogDirReplica]]:
        """What the replicas of each partition take and how far they go, by broker; brokers that do not
        answer are left out."""
        return self._call(self._on_loop.replica_sizes(broker_ids))

    def verify_replicas(self, topics: Iterable[str] = ()) -> list[VerifiedPartition]:
        """Compare all replicas of each partition of these topics, or of all, by SHA-256 of their bytes."""
        return self._call(self._on_loop.verify_replicas(topics))
