"""AdminService: topics and the cluster, as users manage them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from random import Random
from typing import Any

from streamkeep_common.image import ClusterImage
from streamkeep_common.limits import ID_BYTES
from streamkeep_common.methods import (
    ADD_PARTITIONS,
    ADMIN_SERVICE,
    ALTER_TOPIC_SETTINGS,
    CREATE_TOPICS,
    DELETE_TOPICS,
    DESCRIBE_CLUSTER,
    DESCRIBE_TOPICS,
    LIST_TOPICS,
)
from streamkeep_common.seams import CallInfo, Service, UnaryMethod
from streamkeep_common.seams.network import UnaryHandler
from streamkeep_coordinator.controller import Controller
from streamkeep_coordinator.metadata.change import alter_topic_settings, delete_topics
from streamkeep_coordinator.metadata.create import TopicDefaults, add_partitions, create_topics
from streamkeep_coordinator.services.describe import (
    broker_infos,
    named_topic_info,
    topic_info,
    topic_listing,
    topics_by_name,
)
from streamkeep_coordinator.services.requests import check_topics, execute
from streamkeep_proto.v1.coordinator_pb2 import (
    AddPartitionsRequest,
    AddPartitionsResponse,
    AlterTopicSettingsRequest,
    AlterTopicSettingsResponse,
    CoordinatorInfo,
    CreateTopicsRequest,
    CreateTopicsResponse,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DescribeClusterRequest,
    DescribeClusterResponse,
    DescribeTopicsRequest,
    DescribeTopicsResponse,
    ListTopicsRequest,
    ListTopicsResponse,
    TopicOutcome,
)


class AdminService:
    """Each change is one command; each outcome says from which metadata index on it holds."""

    def __init__(
        self,
        controller: Controller,
        rng: Random,
        defaults: TopicDefaults,
        coordinators: Callable[[], list[CoordinatorInfo]],
    ) -> None:
        self._controller = controller
        self._rng = rng
        self._defaults = defaults
        self._coordinators = coordinators

    def service(self) -> Service:
        unary: dict[UnaryMethod[Any, Any], UnaryHandler] = {
            CREATE_TOPICS: self.create_topics,
            DELETE_TOPICS: self.delete_topics,
            ADD_PARTITIONS: self.add_partitions,
            ALTER_TOPIC_SETTINGS: self.alter_topic_settings,
            LIST_TOPICS: self.list_topics,
            DESCRIBE_TOPICS: self.describe_topics,
            DESCRIBE_CLUSTER: self.describe_cluster,
        }
        return Service(ADMIN_SERVICE, unary, {})

    async def create_topics(self, request: CreateTopicsRequest, _info: CallInfo) -> CreateTopicsResponse:
        check_topics([topic.name for topic in request.topics])
        topic_ids = [self._rng.randbytes(ID_BYTES) for _ in request.topics]
        done = await execute(
            self._controller,
            partial(create_topics, request=request, topic_ids=topic_ids, defaults=self._defaults),
        )
        _stamp(done.answer.outcomes, 0 if request.validate_only else done.index)
        return done.answer

    async def delete_topics(self, request: DeleteTopicsRequest, _info: CallInfo) -> DeleteTopicsResponse:
        check_topics([*request.names, *request.topic_ids])
        done = await execute(self._controller, partial(delete_topics, request=request))
        _stamp(done.answer.outcomes, 0 if request.validate_only else done.index)
        return done.answer

    async def add_partitions(self, request: AddPartitionsRequest, _info: CallInfo) -> AddPartitionsResponse:
        check_topics([topic.name for topic in request.topics])
        done = await execute(self._controller, partial(add_partitions, request=request))
        _stamp(done.answer.outcomes, 0 if request.validate_only else done.index)
        return done.answer

    async def alter_topic_settings(
        self, request: AlterTopicSettingsRequest, _info: CallInfo
    ) -> AlterTopicSettingsResponse:
        check_topics([topic.name for topic in request.topics])
        done = await execute(self._controller, partial(alter_topic_settings, request=request))
        _stamp(done.answer.outcomes, 0 if request.validate_only else done.index)
        return done.answer

    async def list_topics(self, _request: ListTopicsRequest, _info: CallInfo) -> ListTopicsResponse:
        return ListTopicsResponse(topics=[topic_listing(topic) for topic in topics_by_name(self._image)])

    async def describe_topics(
        self, request: DescribeTopicsRequest, _info: CallInfo
    ) -> DescribeTopicsResponse:
        check_topics(request.names)
        image = self._image
        if request.names:
            topics = [named_topic_info(image, name, with_settings=True) for name in request.names]
        else:
            topics = [topic_info(topic, with_settings=True) for topic in topics_by_name(image)]
        return DescribeTopicsResponse(topics=topics)

    async def describe_cluster(
        self, _request: DescribeClusterRequest, _info: CallInfo
    ) -> DescribeClusterResponse:
        image = self._image
        return DescribeClusterResponse(
            cluster_id=image.cluster_id,
            metadata_index=image.index,
            term=self._controller.term,
            feature_level=image.feature_level,
            coordinators=self._coordinators(),
            brokers=broker_infos(image),
            topics=len(image.topics),
            partitions=image.partition_count,
            offline_partitions=image.offline_partition_count,
        )

    @property
    def _image(self) -> ClusterImage:
        return self._controller.image


def _stamp(outcomes: Iterable[TopicOutcome], index: int) -> None:
    for outcome in outcomes:
        if not outcome.HasField("error"):
            outcome.metadata_index = index
