"""AdminService: topics and the cluster, as users manage them. Where replicas are stands in `placement`,
settings and features in detail in `particulars`.

What concerns a request as a whole (who is active, that nobody is) travels in the response's `error`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, TypeVar

from streamkeep_common.errors import StreamkeepError, to_proto
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
    UPGRADE_FEATURES,
)
from streamkeep_common.seams import CallInfo, Service, UnaryMethod
from streamkeep_common.seams.network import UnaryHandler
from streamkeep_coordinator.consensus import Consensus
from streamkeep_coordinator.controller import Controller
from streamkeep_coordinator.metadata import Command
from streamkeep_coordinator.metadata.change import alter_topic_settings, delete_topics
from streamkeep_coordinator.metadata.create import TopicDefaults, add_partitions, create_topics
from streamkeep_coordinator.metadata.upgrade import supported_feature_level, upgrade_features
from streamkeep_coordinator.services.commands import answer
from streamkeep_coordinator.services.describe import (
    Describer,
    broker_infos,
    collect,
    named_topic_info,
    topic_info,
    topic_listing,
    topics_by_name,
)
from streamkeep_coordinator.services.particulars import ParticularsService
from streamkeep_coordinator.services.placement import PlacementService
from streamkeep_coordinator.services.reads import Reads
from streamkeep_coordinator.services.requests import check_topics
from streamkeep_proto.v1.coordinator_pb2 import (
    AddPartitionsRequest,
    AddPartitionsResponse,
    AlterTopicSettingsRequest,
    AlterTopicSettingsResponse,
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
    UpgradeFeaturesRequest,
    UpgradeFeaturesResponse,
)

TopicsResponse = TypeVar(
    "TopicsResponse",
    CreateTopicsResponse,
    DeleteTopicsResponse,
    AddPartitionsResponse,
    AlterTopicSettingsResponse,
)


class AdminService:
    """Each change is one command; each outcome says from which metadata index on it holds."""

    def __init__(
        self,
        controller: Controller,
        consensus: Consensus,
        describer: Describer,
        rng: Random,
        defaults: TopicDefaults,
    ) -> None:
        self._controller = controller
        self._consensus = consensus
        self._describer = describer
        self._rng = rng
        self._defaults = defaults
        self._reads = Reads(controller, consensus)

    def service(self) -> Service:
        unary: dict[UnaryMethod[Any, Any], UnaryHandler] = {
            CREATE_TOPICS: self.create_topics,
            DELETE_TOPICS: self.delete_topics,
            ADD_PARTITIONS: self.add_partitions,
            ALTER_TOPIC_SETTINGS: self.alter_topic_settings,
            LIST_TOPICS: self.list_topics,
            DESCRIBE_TOPICS: self.describe_topics,
            DESCRIBE_CLUSTER: self.describe_cluster,
            UPGRADE_FEATURES: self.upgrade_features,
        }
        unary |= PlacementService(self._controller).handlers()
        unary |= ParticularsService(self._reads, self._describer, self._defaults).handlers()
        return Service(ADMIN_SERVICE, unary, {})

    async def create_topics(self, request: CreateTopicsRequest, _info: CallInfo) -> CreateTopicsResponse:
        check_topics([topic.name for topic in request.topics])
        topic_ids = [self._rng.randbytes(ID_BYTES) for _ in request.topics]
        command = partial(create_topics, request=request, topic_ids=topic_ids, defaults=self._defaults)
        return await self._change(command, CreateTopicsResponse, is_done=not request.validate_only)

    async def delete_topics(self, request: DeleteTopicsRequest, _info: CallInfo) -> DeleteTopicsResponse:
        check_topics([*request.names, *request.topic_ids])
        command = partial(delete_topics, request=request)
        return await self._change(command, DeleteTopicsResponse, is_done=not request.validate_only)

    async def add_partitions(self, request: AddPartitionsRequest, _info: CallInfo) -> AddPartitionsResponse:
        check_topics([topic.name for topic in request.topics])
        command = partial(add_partitions, request=request)
        return await self._change(command, AddPartitionsResponse, is_done=not request.validate_only)

    async def alter_topic_settings(
        self, request: AlterTopicSettingsRequest, _info: CallInfo
    ) -> AlterTopicSettingsResponse:
        check_topics([topic.name for topic in request.topics])
        command = partial(alter_topic_settings, request=request)
        return await self._change(command, AlterTopicSettingsResponse, is_done=not request.validate_only)

    async def upgrade_features(
        self, request: UpgradeFeaturesRequest, _info: CallInfo
    ) -> UpgradeFeaturesResponse:
        command = partial(upgrade_features, request=request)
        return await answer(self._controller, command, UpgradeFeaturesResponse)

    async def list_topics(self, _request: ListTopicsRequest, _info: CallInfo) -> ListTopicsResponse:
        try:
            image = await self._reads.linearizable()
        except StreamkeepError as error:
            return ListTopicsResponse(error=to_proto(error))
        listings = (topic_listing(topic) for topic in topics_by_name(image))
        return ListTopicsResponse(topics=await collect(listings, lambda topic: topic.partitions))

    async def describe_topics(
        self, request: DescribeTopicsRequest, _info: CallInfo
    ) -> DescribeTopicsResponse:
        check_topics(request.names)
        try:
            image = await self._reads.linearizable()
        except StreamkeepError as error:
            return DescribeTopicsResponse(error=to_proto(error))
        described = (named_topic_info(image, name, in_detail=True) for name in request.names)
        if not request.names:
            described = (topic_info(topic, in_detail=True) for topic in topics_by_name(image))
        topics = await collect(described, lambda topic: len(topic.partitions))
        return DescribeTopicsResponse(topics=topics)

    async def describe_cluster(
        self, _request: DescribeClusterRequest, _info: CallInfo
    ) -> DescribeClusterResponse:
        image, stale = await self._reads.fresh_or_stale()
        return DescribeClusterResponse(
            cluster_id=image.cluster_id,
            metadata_index=image.index,
            term=self._consensus.term,
            feature_level=image.feature_level,
            coordinators=self._describer.coordinators(image),
            brokers=broker_infos(image),
            topics=len(image.topics),
            partitions=image.partition_count,
            offline_partitions=image.offline_partition_count,
            stale=stale,
            supported_feature_level=supported_feature_level(image),
            cluster_epoch=self._consensus.cluster_epoch,
        )

    async def _change(
        self, command: Command[TopicsResponse], response: Callable[..., TopicsResponse], *, is_done: bool
    ) -> TopicsResponse:
        """Carry a command out. Unless it was only validated, each success says where in the log it is."""
        try:
            done = await self._controller.execute(command)
        except StreamkeepError as error:
            return response(error=to_proto(error))
        for outcome in done.answer.outcomes if is_done else ():
            if not outcome.HasField("error"):
                outcome.metadata_index = done.index
        return done.answer
