"""The part of AdminService that tells settings and features in full: where each value comes from and what it
is for, and who can work at which level.
"""

from __future__ import annotations

from typing import Any

from streamkeep_common.errors import StreamkeepError, UnknownTopicError, to_proto
from streamkeep_common.image import FEATURE_LEVELS, ClusterImage
from streamkeep_common.methods import DESCRIBE_FEATURES, DESCRIBE_TOPIC_SETTINGS
from streamkeep_common.seams import CallInfo, UnaryMethod
from streamkeep_common.seams.network import UnaryHandler
from streamkeep_coordinator.metadata.create import TopicDefaults, initial_settings
from streamkeep_coordinator.metadata.topic_settings import described_settings
from streamkeep_coordinator.metadata.upgrade import processes, supported_feature_level
from streamkeep_coordinator.services.describe import Describer, collect
from streamkeep_coordinator.services.reads import Reads
from streamkeep_coordinator.services.requests import check_topics
from streamkeep_proto.v1.coordinator_pb2 import (
    DescribeFeaturesRequest,
    DescribeFeaturesResponse,
    DescribeTopicSettingsRequest,
    DescribeTopicSettingsResponse,
    FeatureLevelInfo,
    ProcessFeatures,
    TopicSettingsInfo,
)

SETTINGS_COST = 20
"""To describe a topic's settings takes as long as to describe so many partitions."""


class ParticularsService:
    """Only reads, linearizable ones. `handlers` are for AdminService, whose methods these are."""

    def __init__(self, reads: Reads, describer: Describer, defaults: TopicDefaults) -> None:
        self._reads = reads
        self._describer = describer
        self._defaults = defaults

    def handlers(self) -> dict[UnaryMethod[Any, Any], UnaryHandler]:
        return {
            DESCRIBE_TOPIC_SETTINGS: self.describe_topic_settings,
            DESCRIBE_FEATURES: self.describe_features,
        }

    async def describe_topic_settings(
        self, request: DescribeTopicSettingsRequest, _info: CallInfo
    ) -> DescribeTopicSettingsResponse:
        check_topics(request.names)
        try:
            image = await self._reads.linearizable()
        except StreamkeepError as error:
            return DescribeTopicSettingsResponse(error=to_proto(error))
        if not request.names:
            new = TopicSettingsInfo(settings=described_settings(initial_settings({}, self._defaults)))
            return DescribeTopicSettingsResponse(topics=[new])
        told = (_topic_settings(image, name) for name in request.names)
        return DescribeTopicSettingsResponse(topics=await collect(told, lambda _: SETTINGS_COST))

    async def describe_features(
        self, _request: DescribeFeaturesRequest, _info: CallInfo
    ) -> DescribeFeaturesResponse:
        try:
            image = await self._reads.linearizable()
        except StreamkeepError as error:
            return DescribeFeaturesResponse(error=to_proto(error))
        return DescribeFeaturesResponse(
            level=image.feature_level,
            supported_level=supported_feature_level(image),
            processes=self._processes(image),
            levels=[
                FeatureLevelInfo(level=level, documentation=doc) for level, doc in FEATURE_LEVELS.items()
            ],
        )

    def _processes(self, image: ClusterImage) -> list[ProcessFeatures]:
        """Coordinators first. Who is in no record is this one, below level 2."""
        told = [
            ProcessFeatures(
                role=each.role,
                id=each.id,
                address=each.address,
                min_level=each.lowest,
                max_level=each.highest,
            )
            for each in processes(image)
        ]
        own = told.pop()
        if image.quorum is None:
            (coordinator,) = self._describer.coordinators(image)
            own.id, own.address = coordinator.coordinator_id, coordinator.address
            told.insert(0, own)
        return told


def _topic_settings(image: ClusterImage, name: str) -> TopicSettingsInfo:
    """The topic's settings, or the error that there is no such topic."""
    topic = image.topic(name)
    if topic is None:
        error = UnknownTopicError(f"there is no topic {name}")
        return TopicSettingsInfo(name=name, error=to_proto(error))
    return TopicSettingsInfo(name=name, settings=described_settings(topic.settings))
