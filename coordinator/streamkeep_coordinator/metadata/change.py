"""Topics removed and settings changed."""

from __future__ import annotations

from functools import partial

from streamkeep_common.errors import InvalidRequestError, UnknownTopicError
from streamkeep_common.image import ClusterImage, TopicImage
from streamkeep_common.settings import TOPIC_SETTINGS
from streamkeep_coordinator.metadata.decision import Decision, Draft
from streamkeep_coordinator.metadata.find import find_topic
from streamkeep_coordinator.metadata.outcomes import outcome_of, success
from streamkeep_coordinator.metadata.settle import settle_topic
from streamkeep_proto.v1.coordinator_pb2 import (
    AlterTopicSettings,
    AlterTopicSettingsRequest,
    AlterTopicSettingsResponse,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    TopicOutcome,
)
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord, SettingRecord, TopicRemovedRecord


def delete_topics(image: ClusterImage, request: DeleteTopicsRequest) -> Decision[DeleteTopicsResponse]:
    """Topics by name, then by id; the second time it is UNKNOWN_TOPIC."""
    draft = Draft(image)
    outcomes = [outcome_of(name, partial(_delete_name, draft, name)) for name in request.names]
    outcomes += [outcome_of("", partial(_delete_id, draft, topic_id)) for topic_id in request.topic_ids]
    return draft.decide(DeleteTopicsResponse(outcomes=outcomes), validate_only=request.validate_only)


def alter_topic_settings(
    image: ClusterImage, request: AlterTopicSettingsRequest
) -> Decision[AlterTopicSettingsResponse]:
    """All changes of a topic or none of them; a value that a setting has already is no change."""
    draft = Draft(image)
    outcomes = [outcome_of(item.name, partial(_alter, draft, item)) for item in request.topics]
    return draft.decide(AlterTopicSettingsResponse(outcomes=outcomes), validate_only=request.validate_only)


def _delete_name(draft: Draft, name: str) -> TopicOutcome:
    return _delete(draft, find_topic(draft.image, name))


def _delete_id(draft: Draft, topic_id: bytes) -> TopicOutcome:
    topic = draft.image.topics.get(topic_id)
    if topic is None:
        raise UnknownTopicError(f"there is no topic with id {topic_id.hex()}")
    return _delete(draft, topic)


def _delete(draft: Draft, topic: TopicImage) -> TopicOutcome:
    draft.write(MetadataRecord(topic_removed=TopicRemovedRecord(topic_id=topic.topic_id)))
    return success(topic)


def _alter(draft: Draft, item: AlterTopicSettings) -> TopicOutcome:
    topic = find_topic(draft.image, item.name)
    for name in item.unset:
        if name in item.set:
            raise InvalidRequestError(f"setting {name} is both set and unset")
    wanted: dict[str, str | None] = dict(TOPIC_SETTINGS.validate(dict(item.set)))
    wanted |= {TOPIC_SETTINGS[name].name: None for name in sorted(item.unset)}
    draft.write(
        *(
            MetadataRecord(setting=SettingRecord(topic_id=topic.topic_id, name=name, value=value))
            for name, value in wanted.items()
            if topic.settings.get(name) != value
        )
    )
    draft.write(*settle_topic(draft.image, draft.image.topics[topic.topic_id]))
    return success(draft.image.topics[topic.topic_id])
