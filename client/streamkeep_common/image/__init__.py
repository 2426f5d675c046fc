"""The cluster image: what the committed metadata says, as one immutable value.

Coordinators and brokers build it from the same records, so they agree by construction. Pure: no
clock, no I/O. Nothing here decides; deciding is the coordinator's, acting on a delta is the reader's.
"""

from streamkeep_common.image.apply import InconsistentMetadataError, apply
from streamkeep_common.image.delta import ImageDelta, difference
from streamkeep_common.image.features import (
    COMPACT_FEATURE_LEVEL,
    FEATURE_LEVELS,
    MAX_FEATURE_LEVEL,
    MIN_FEATURE_LEVEL,
    QUORUM_FEATURE_LEVEL,
    REPLICATION_FEATURE_LEVEL,
    check_feature_level,
    check_known,
)
from streamkeep_common.image.model import BrokerImage, ClusterImage, PartitionImage, Standing, TopicImage
from streamkeep_common.image.records import to_records
from streamkeep_common.image.snapshot import SnapshotBuilder

__all__ = [
    "COMPACT_FEATURE_LEVEL",
    "FEATURE_LEVELS",
    "MAX_FEATURE_LEVEL",
    "MIN_FEATURE_LEVEL",
    "QUORUM_FEATURE_LEVEL",
    "REPLICATION_FEATURE_LEVEL",
    "BrokerImage",
    "ClusterImage",
    "ImageDelta",
    "InconsistentMetadataError",
    "PartitionImage",
    "SnapshotBuilder",
    "Standing",
    "TopicImage",
    "apply",
    "check_feature_level",
    "check_known",
    "difference",
    "to_records",
]
