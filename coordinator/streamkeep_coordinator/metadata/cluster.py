"""The birth of a cluster, and the first records of a term."""

from __future__ import annotations

from streamkeep_common.errors import ClusterMismatchError
from streamkeep_common.image import MAX_FEATURE_LEVEL, MIN_FEATURE_LEVEL, ClusterImage
from streamkeep_coordinator.metadata.decision import Decision, Draft
from streamkeep_proto.v1.metadata_pb2 import (
    ClusterRecord,
    FeatureLevelRecord,
    MetadataRecord,
    NoOpRecord,
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


def begin_term(image: ClusterImage, cluster_id: str) -> Decision[None]:
    """A no-op of the new term, which commits what earlier terms left (Raft, section 8).

    In a cluster without an entry yet it is followed by the cluster's id and feature level.
    ClusterMismatchError if the log is another cluster's than the directory that holds it.
    """
    draft = Draft(image)
    draft.write(MetadataRecord(no_op=NoOpRecord()))
    if not image.cluster_id:
        draft.write(
            MetadataRecord(cluster=ClusterRecord(cluster_id=cluster_id)),
            MetadataRecord(feature_level=FeatureLevelRecord(level=MIN_FEATURE_LEVEL)),
        )
    elif image.cluster_id != cluster_id:
        raise ClusterMismatchError(
            f"the metadata log is of cluster {image.cluster_id}, its directory of {cluster_id}"
        )
    return draft.decide(None)
