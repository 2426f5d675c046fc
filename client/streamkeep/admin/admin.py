"""Administration of a cluster, with one outcome an item.

Answers are the messages of coordinator.proto, broker.proto and raft.proto themselves. Methods for several
items report each item's error in its outcome; methods for one item raise it.

A change whose answer was lost, because the active coordinator died or fell silent, is made again at the next
one. Most changes bear that: a topic is created under an id of our choice, so the second attempt finds its own
topic; settings, partition counts, levels and leadership are what they already are. Only what is deleted or
removed may be reported as unknown although this very call removed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streamkeep.admin.placement import PlacementAdmin
from streamkeep.admin.quorum import QuorumAdmin
from streamkeep.admin.replicas import ReplicaAdmin
from streamkeep.coordinators import Whom
from streamkeep.offsets import OffsetQuestion, delete_records, list_offsets
from streamkeep.topic_partition import AnyTopicPartition, TopicPartition
from streamkeep_common.errors import StreamkeepError, raise_if_error
from streamkeep_common.limits import ID_BYTES
from streamkeep_common.methods import (
    ADD_PARTITIONS,
    ALTER_TOPIC_SETTINGS,
    CREATE_TOPICS,
    DELETE_TOPICS,
    UPGRADE_FEATURES,
)
from streamkeep_proto.v1.broker_pb2 import DeletedRecords, ListedOffset
from streamkeep_proto.v1.coordinator_pb2 import (
    AddPartitionsRequest,
    AlterTopicSettings,
    AlterTopicSettingsRequest,
    CreateTopicsRequest,
    DeleteTopicsRequest,
    NewTopic,
    PartitionCount,
    TopicOutcome,
    UpgradeFeaturesRequest,
    UpgradeFeaturesResponse,
)


class Admin(PlacementAdmin, ReplicaAdmin, QuorumAdmin):
    """Manages topics, looks into the cluster, moves replicas, and changes the quorum.

    `bootstrap` names coordinators ("host:port", several with commas or as a list), or is a `Client` to share.
    Changes are made by the active coordinator, which is found among the others. Calls are tried again for
    `request_timeout_ms` (default 30000) while nobody answers. Use it with `async with`, or `close` it.
    """

    # --- topics ---

    async def create_topic(
        self,
        name: str,
        *,
        partitions: int = 0,
        replication_factor: int = 0,
        settings: Mapping[str, str] | None = None,
        validate_only: bool = False,
        wait: bool = True,
    ) -> TopicOutcome:
        """Create a topic; 0 takes the cluster's default. With `wait` it can be used at once.

        Raises TopicExistsError, InvalidTopicNameError, InvalidPartitionCountError,
        InvalidReplicationFactorError, UnknownSettingError or InvalidSettingError.
        """
        topic = NewTopic(
            name=name, partitions=partitions, replication_factor=replication_factor, settings=settings or {}
        )
        (outcome,) = await self.create_topics([topic], validate_only=validate_only)
        raise_if_error(outcome.error)
        if wait and not validate_only:
            await self.wait_until_ready(name)
        return outcome

    async def create_topics(
        self, topics: Iterable[NewTopic], *, validate_only: bool = False
    ) -> list[TopicOutcome]:
        """Create several; one outcome each, in their order. They may take a moment: `wait_until_ready`.

        Those without a `topic_id` are given one.
        """
        request = CreateTopicsRequest(topics=topics, validate_only=validate_only)
        for topic in request.topics:
            topic.topic_id = topic.topic_id or self._client.rng.randbytes(ID_BYTES)
        response = await self._ask(Whom.ACTIVE, CREATE_TOPICS, request)
        return list(response.outcomes)

    async def wait_until_ready(self, *names: str, timeout_ms: int | None = None) -> None:
        """Until every partition of these topics has a leader that serves it.

        Raises the last obstacle when time is up (default: `request_timeout_ms`), and UnknownTopicError if one
        does not exist.
        """
        timeout_s = self._timeout_s if timeout_ms is None else timeout_ms / 1_000
        topic_partitions: dict[TopicPartition, OffsetQuestion] = {}
        for name in names:
            view = await self._client.metadata.topic(name, timeout_s=timeout_s)
            topic_partitions.update(
                (TopicPartition(name, number), "latest") for number in range(len(view.partitions))
            )
        for outcome in (await list_offsets(self._client, topic_partitions, timeout_s=timeout_s)).values():
            if isinstance(outcome, StreamkeepError):
                raise outcome

    async def delete_topic(self, name: str, *, validate_only: bool = False) -> TopicOutcome:
        """Delete a topic with all its records. Raises UnknownTopicError, which if an answer was lost may
        be about the topic that this call deleted."""
        (outcome,) = await self.delete_topics([name], validate_only=validate_only)
        raise_if_error(outcome.error)
        return outcome

    async def delete_topics(
        self, names: Iterable[str] = (), *, topic_ids: Iterable[bytes] = (), validate_only: bool = False
    ) -> list[TopicOutcome]:
        """Delete several, by name or id; one outcome each, names first."""
        request = DeleteTopicsRequest(names=names, topic_ids=topic_ids, validate_only=validate_only)
        response = await self._ask(Whom.ACTIVE, DELETE_TOPICS, request)
        return list(response.outcomes)

    async def add_partitions(
        self, name: str, partitions: int, *, validate_only: bool = False, wait: bool = True
    ) -> TopicOutcome:
        """Raise the number of a topic's partitions to `partitions`. Keys may go elsewhere from then on.

        Raises UnknownTopicError or InvalidPartitionCountError.
        """
        request = AddPartitionsRequest(
            topics=[PartitionCount(name=name, partitions=partitions)], validate_only=validate_only
        )
        response = await self._ask(Whom.ACTIVE, ADD_PARTITIONS, request)
        (outcome,) = response.outcomes
        raise_if_error(outcome.error)
        if wait and not validate_only:
            await self._client.metadata.refresh()
            await self.wait_until_ready(name)
        return outcome

    async def alter_topic_settings(
        self,
        name: str,
        *,
        set: Mapping[str, str] | None = None,  # noqa: A002 - as the message has it
        unset: Iterable[str] = (),
        validate_only: bool = False,
    ) -> TopicOutcome:
        """Set some settings of a topic, and return others to their defaults.

        Raises UnknownTopicError, UnknownSettingError or InvalidSettingError.
        """
        change = AlterTopicSettings(name=name, set=set or {}, unset=unset)
        request = AlterTopicSettingsRequest(topics=[change], validate_only=validate_only)
        response = await self._ask(Whom.ACTIVE, ALTER_TOPIC_SETTINGS, request)
        (outcome,) = response.outcomes
        raise_if_error(outcome.error)
        return outcome

    # --- records ---

    async def list_offsets(
        self, questions: Mapping[AnyTopicPartition, OffsetQuestion]
    ) -> dict[TopicPartition, ListedOffset | StreamkeepError]:
        """For each partition the offset asked for, or why there is no answer."""
        named = {
            TopicPartition(*topic_partition): question for topic_partition, question in questions.items()
        }
        return await list_offsets(self._client, named, timeout_s=self._timeout_s)

    async def delete_records(
        self, before_offsets: Mapping[AnyTopicPartition, int]
    ) -> dict[TopicPartition, DeletedRecords | StreamkeepError]:
        """Move each partition's log start up to an offset; -1 stands for the high watermark.

        The records before it are gone for good. One outcome a partition.
        """
        named = {
            TopicPartition(*topic_partition): offset for topic_partition, offset in before_offsets.items()
        }
        return await delete_records(self._client, named, timeout_s=self._timeout_s)

    # --- the cluster ---

    async def upgrade_features(
        self, level: int = 0, *, validate_only: bool = False
    ) -> UpgradeFeaturesResponse:
        """Raise the feature level, for good; 0 = to the highest that every process supports.

        Raises UnsupportedFeatureError, naming who is in the way, or InvalidRequestError if it is lower.
        """
        request = UpgradeFeaturesRequest(level=level, validate_only=validate_only)
        return await self._ask(Whom.ACTIVE, UPGRADE_FEATURES, request)
