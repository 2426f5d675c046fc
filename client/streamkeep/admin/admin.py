"""Administration of a cluster, with one outcome an item.

Answers are the messages of coordinator.proto, broker.proto, settings.proto and raft.proto themselves. Methods
for several items report each item's error in its outcome (`Outcomes`); methods for one item raise it.

A change whose answer was lost, because the active coordinator died or fell silent, is made again at the next
one. Most changes bear that: a topic is created under an id of our choice, so the second attempt finds its own
topic; settings, partition counts, levels and leadership are what they already are. Only what is deleted or
removed may be reported as unknown although this very call removed it.
"""

from __future__ import annotations

from streamkeep.admin.quorum import QuorumAdmin
from streamkeep.admin.records import RecordsAdmin
from streamkeep.admin.replicas import ReplicaAdmin
from streamkeep.admin.settings import SettingsAdmin
from streamkeep.admin.topics import TopicAdmin
from streamkeep.coordinators import Whom
from streamkeep_common.methods import DESCRIBE_FEATURES, UPGRADE_FEATURES
from streamkeep_proto.v1.coordinator_pb2 import (
    DescribeFeaturesRequest,
    DescribeFeaturesResponse,
    UpgradeFeaturesRequest,
    UpgradeFeaturesResponse,
)


class Admin(TopicAdmin, SettingsAdmin, RecordsAdmin, ReplicaAdmin, QuorumAdmin):
    """Manages topics, looks into the cluster, moves replicas, and changes the quorum.

    `bootstrap` names coordinators ("host:port", several with commas or as a list), or is a `Client` to share.
    Changes are made by the active coordinator, which is found among the others. Calls are tried again for
    `request_timeout_ms` (default 30000) while nobody answers. Use it with `async with`, or `close` it.
    """

    # --- features ---

    async def describe_features(self) -> DescribeFeaturesResponse:
        """The feature level in use, the highest that every process supports, who supports what, and what each
        level brings."""
        return await self._ask(Whom.ANY, DESCRIBE_FEATURES, DescribeFeaturesRequest())

    async def upgrade_features(
        self, level: int = 0, *, validate_only: bool = False
    ) -> UpgradeFeaturesResponse:
        """Raise the feature level, for good; 0 = to the highest that every process supports.

        Raises UnsupportedFeatureError, naming who is in the way, or InvalidRequestError if it is lower.
        """
        request = UpgradeFeaturesRequest(level=level, validate_only=validate_only)
        return await self._ask(Whom.ACTIVE, UPGRADE_FEATURES, request)
