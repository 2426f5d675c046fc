"""New topics and new partitions: what may be asked for, and the records that make it so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from streamkeep_common.errors import (
    InvalidPartitionCountError,
    InvalidReplicationFactorError,
    InvalidRequestError,
    TopicExistsError,
)
from streamkeep_common.image import ClusterImage, TopicImage
from streamkeep_common.limits import ID_BYTES, MAX_PARTITIONS_PER_TOPIC
from streamkeep_common.settings import TOPIC_SETTINGS
from streamkeep_common.topics import check_topic_name
from streamkeep_coordinator.metadata.decision import Decision, Draft
from streamkeep_coordinator.metadata.find import find_topic
from streamkeep_coordinator.metadata.limits import (
    MAX_NEW_PARTITIONS_PER_REQUEST,
    MAX_PARTITIONS_PER_CLUSTER,
)
from streamkeep_coordinator.metadata.outcomes import outcome_of, success
from streamkeep_coordinator.metadata.placement import Placement, candidates, max_replication_factor, too_few
from streamkeep_coordinator.metadata.topic_settings import MIN_INSYNC_REPLICAS
from streamkeep_proto.v1.coordinator_pb2 import (
    AddPartitionsRequest,
    AddPartitionsResponse,
    CreateTopicsRequest,
    CreateTopicsResponse,
    NewTopic,
    PartitionCount,
    TopicOutcome,
)
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord, PartitionRecord, SettingRecord, TopicRecord


@dataclass(frozen=True, slots=True)
class TopicDefaults:
    """What a new topic gets where the request does not say. More replicas than live brokers become fewer."""

    partitions: int = 6
    replication_factor: int = 3
    min_insync_replicas: int = 2


def create_topics(
    image: ClusterImage, request: CreateTopicsRequest, *, topic_ids: Sequence[bytes], defaults: TopicDefaults
) -> Decision[CreateTopicsResponse]:
    """`topic_ids` has a new random id for each topic of the request, for those whose id the client did not
    choose. One that the client chose makes its request repeatable: the topic that it made is a success again.
    """
    draft = Draft(image)
    outcomes = [
        outcome_of(topic.name, partial(_create, draft, topic, topic.topic_id or topic_id, defaults))
        for topic, topic_id in zip(request.topics, topic_ids, strict=True)
    ]
    if request.validate_only:
        for outcome in outcomes:
            outcome.topic_id = b""
    return draft.decide(CreateTopicsResponse(outcomes=outcomes), validate_only=request.validate_only)


def add_partitions(image: ClusterImage, request: AddPartitionsRequest) -> Decision[AddPartitionsResponse]:
    """Raise topics to a total of partitions. The total that a topic has already is no change and no error."""
    draft = Draft(image)
    outcomes = [outcome_of(item.name, partial(_add_partitions, draft, item)) for item in request.topics]
    return draft.decide(AddPartitionsResponse(outcomes=outcomes), validate_only=request.validate_only)


def _create(draft: Draft, new: NewTopic, topic_id: bytes, defaults: TopicDefaults) -> TopicOutcome:
    check_topic_name(new.name)
    known = _made_before(draft.image, new.name, topic_id)
    if known is not None:
        return success(known)
    settings = TOPIC_SETTINGS.validate(initial_settings(new.settings, defaults))
    count = new.partitions or defaults.partitions
    _check_partitions(draft, count, count)
    replicas = _replication_factor(draft.image, new, defaults)
    topic = TopicImage(topic_id, new.name)
    records = [MetadataRecord(topic=TopicRecord(topic_id=topic_id, name=new.name))]
    for name, value in settings.items():
        records.append(MetadataRecord(setting=SettingRecord(topic_id=topic_id, name=name, value=value)))
    draft.write(*records, *_new_partitions(draft.image, topic, count, replicas))
    return success(draft.image.topics[topic_id])


def _made_before(image: ClusterImage, name: str, topic_id: bytes) -> TopicImage | None:
    """The topic of that name and that id. Raises if there is one that has only one of the two."""
    if len(topic_id) != ID_BYTES:
        raise InvalidRequestError(f"topic_id has {len(topic_id)} bytes, not {ID_BYTES}")
    known = image.topic(name)
    if known is not None and known.topic_id != topic_id:
        raise TopicExistsError(f"topic {name} exists")
    if known is None and topic_id in image.topics:
        raise InvalidRequestError(f"the id chosen for topic {name} is that of {image.topics[topic_id].name}")
    return known


def _add_partitions(draft: Draft, item: PartitionCount) -> TopicOutcome:
    topic = find_topic(draft.image, item.name)
    missing = item.partitions - len(topic.partitions)
    if missing < 0:
        count = len(topic.partitions)
        raise InvalidPartitionCountError(
            f"topic {topic.name} has {count} partitions, more than {item.partitions}"
        )
    _check_partitions(draft, item.partitions, missing)
    replicas = topic.replication_factor
    draft.write(*_new_partitions(draft.image, topic, missing, replicas))
    return success(draft.image.topics[topic.topic_id])


def initial_settings(asked: Mapping[str, str], defaults: TopicDefaults) -> dict[str, str]:
    """What is set on a new topic for which these settings are asked."""
    settings = dict(asked)
    wanted = str(defaults.min_insync_replicas)
    if MIN_INSYNC_REPLICAS not in settings and wanted != TOPIC_SETTINGS[MIN_INSYNC_REPLICAS].default:
        settings[MIN_INSYNC_REPLICAS] = wanted
    return settings


def _check_partitions(draft: Draft, total: int, added: int) -> None:
    if total > MAX_PARTITIONS_PER_TOPIC:
        raise InvalidPartitionCountError(
            f"a topic can have {MAX_PARTITIONS_PER_TOPIC} partitions, not {total}"
        )
    if draft.image.partition_count + added > MAX_PARTITIONS_PER_CLUSTER:
        raise InvalidPartitionCountError(
            f"the cluster can have {MAX_PARTITIONS_PER_CLUSTER} partitions, "
            f"and has {draft.image.partition_count}"
        )
    if draft.new_partitions + added > MAX_NEW_PARTITIONS_PER_REQUEST:
        raise InvalidPartitionCountError(
            f"one request can add {MAX_NEW_PARTITIONS_PER_REQUEST} partitions; send the rest in another one"
        )


def _replication_factor(image: ClusterImage, new: NewTopic, defaults: TopicDefaults) -> int:
    able = len(candidates(image))
    most = max_replication_factor(image)
    wanted = new.replication_factor or min(defaults.replication_factor, most, max(able, 1))
    if wanted > most:
        raise InvalidReplicationFactorError(
            f"a replication factor of {wanted} was asked for, and at most {most} is possible at feature "
            f"level {image.feature_level}"
        )
    if wanted > able:
        raise InvalidReplicationFactorError(too_few(wanted, able))
    return wanted


def _new_partitions(
    image: ClusterImage, topic: TopicImage, count: int, replication_factor: int
) -> list[MetadataRecord]:
    placement = Placement(image, topic.partitions)
    first = len(topic.partitions)
    return [
        _new_partition(topic.topic_id, number, *placement.place(replication_factor))
        for number in range(first, first + count)
    ]


def _new_partition(
    topic_id: bytes, number: int, replicas: tuple[int, ...], directory_ids: tuple[bytes, ...]
) -> MetadataRecord:
    """All replicas are live and empty, so all are in sync and the first one leads."""
    return MetadataRecord(
        partition=PartitionRecord(
            topic_id=topic_id,
            partition=number,
            replicas=replicas,
            directory_ids=directory_ids,
            isr=replicas,
            leader=replicas[0],
            leader_epoch=1,
            partition_epoch=1,
        )
    )
