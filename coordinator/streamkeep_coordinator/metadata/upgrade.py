"""The feature level raised, once every process of the cluster can work at it. There is no way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from streamkeep_common.errors import UnsupportedFeatureError
from streamkeep_common.image import (
    MAX_FEATURE_LEVEL,
    MIN_FEATURE_LEVEL,
    REPLICATION_FEATURE_LEVEL,
    ClusterImage,
)
from streamkeep_coordinator.metadata.decision import Decision, Draft
from streamkeep_proto.v1.coordinator_pb2 import UpgradeFeaturesRequest, UpgradeFeaturesResponse
from streamkeep_proto.v1.metadata_pb2 import FeatureLevelRecord, MetadataRecord


class Process(NamedTuple):
    """Who must be able to work at the level, and the levels that it supports. Who is asked itself comes
    without an id: below level 2 no record names it."""

    role: str
    id: int
    address: str
    lowest: int
    highest: int

    @property
    def name(self) -> str:
        return f"{self.role} {self.id} at {self.address}" if self.id else "the active coordinator"


def supported_feature_level(image: ClusterImage) -> int:
    """The highest level at which every registered broker and every member of the quorum can work.

    Fenced brokers count: they come back. Never below the level in use.
    """
    return max(image.feature_level, min(process.highest for process in processes(image)))


def upgrade_features(
    image: ClusterImage, request: UpgradeFeaturesRequest
) -> Decision[UpgradeFeaturesResponse]:
    """To the level asked for, 0 = the highest that is supported; the level in use is no change and no error.

    UnsupportedFeatureError if it is lower than the one in use, or if a process (which is named) cannot.
    """
    level = request.level or supported_feature_level(image)
    draft = Draft(image)
    if level != image.feature_level:
        _check(image, level)
        draft.write(MetadataRecord(feature_level=FeatureLevelRecord(level=level)))
    answer = UpgradeFeaturesResponse(previous_level=image.feature_level, level=level)
    return draft.decide(answer, validate_only=request.validate_only)


def check_replication(image: ClusterImage) -> None:
    """UnsupportedFeatureError below the feature level at which replicas move and brokers are drained."""
    if image.feature_level < REPLICATION_FEATURE_LEVEL:
        raise UnsupportedFeatureError(
            f"this needs feature level {REPLICATION_FEATURE_LEVEL}, and the cluster works at "
            f"{image.feature_level}: raise it with `streamctl cluster upgrade`"
        )


def _check(image: ClusterImage, level: int) -> None:
    if level < image.feature_level:
        raise UnsupportedFeatureError(
            f"the cluster works at feature level {image.feature_level}, and there is no way back to {level}"
        )
    for process in processes(image):
        if not process.lowest <= level <= process.highest:
            raise UnsupportedFeatureError(
                f"{process.name} supports feature levels {process.lowest} to {process.highest}, not {level}"
            )


def processes(image: ClusterImage) -> Iterator[Process]:
    """Members and brokers by id; the active coordinator itself last, below level 2 the only one there is."""
    for member in image.quorum.members if image.quorum is not None else ():
        yield Process(
            "coordinator",
            member.coordinator_id,
            member.address,
            member.min_feature_level,
            member.max_feature_level,
        )
    for broker in image.brokers.values():
        range_ = broker.registration
        yield Process(
            "broker",
            broker.broker_id,
            broker.address,
            range_.min_feature_level,
            range_.max_feature_level,
        )
    yield Process("coordinator", 0, "", MIN_FEATURE_LEVEL, MAX_FEATURE_LEVEL)
