"""The birth of a cluster."""

from __future__ import annotations

from streamkeep_common.image import MAX_FEATURE_LEVEL, ClusterImage
from streamkeep_coordinator.metadata.decision import Decision, Draft
from streamkeep_proto.v1.metadata_pb2 import (
    ClusterRecord,
    FeatureLevelRecord,
    MetadataRecord,
    QuorumRecord,
)


def found_cluster(cluster_id: str, quorum: QuorumRecord) -> Decision[None]:
    """The first entry of a new cluster's log: who it is, what it can do, and who keeps it.

    InconsistentMetadataError if the quorum is none: without a voter, or with a member named twice.
    """
    draft = Draft(ClusterImage())
    draft.write(
        MetadataRecord(cluster=ClusterRecord(cluster_id=cluster_id)),
        MetadataRecord(feature_level=FeatureLevelRecord(level=MAX_FEATURE_LEVEL)),
        MetadataRecord(quorum=quorum),
    )
    return draft.decide(None)
