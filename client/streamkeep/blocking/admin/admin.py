"""Administration from threads: every call crosses over to the loop, and waits for its answer."""

from __future__ import annotations

from streamkeep.blocking.admin.description import DescribingAdmin
from streamkeep.blocking.admin.placement import PlacementAdmin
from streamkeep.blocking.admin.quorum import QuorumAdmin
from streamkeep.blocking.admin.records import RecordsAdmin
from streamkeep.blocking.admin.replicas import ReplicaAdmin
from streamkeep.blocking.admin.settings import SettingsAdmin
from streamkeep.blocking.admin.topics import TopicAdmin
from streamkeep.blocking.admin.waits import WaitingAdmin
from streamkeep_proto.v1.coordinator_pb2 import DescribeFeaturesResponse, UpgradeFeaturesResponse


class Admin(
    DescribingAdmin,
    PlacementAdmin,
    QuorumAdmin,
    RecordsAdmin,
    ReplicaAdmin,
    SettingsAdmin,
    TopicAdmin,
    WaitingAdmin,
):
    """Manages topics, looks into the cluster, moves replicas, and changes the quorum.

    Every method does, returns and raises what that of `streamkeep.Admin` does. Ctrl-C ends a wait at once; a
    change that was asked for may still come about then. Threads may share it. Use it with `with`, or `close`.
    """

    def describe_features(self) -> DescribeFeaturesResponse:
        """The feature level in use, the highest that every process supports, who supports what, and what
        each level brings."""
        return self._call(self._on_loop.describe_features())

    def upgrade_features(self, level: int = 0, *, validate_only: bool = False) -> UpgradeFeaturesResponse:
        """Raise the feature level, for good; 0 = to the highest that every process supports."""
        return self._call(self._on_loop.upgrade_features(level, validate_only=validate_only))
