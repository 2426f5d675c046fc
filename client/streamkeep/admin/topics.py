"""Topics made, changed and removed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streamkeep.admin.outcomes import Answers
from streamkeep.admin.settings import SettingsArgument, setting_texts
from streamkeep.admin.waits import WaitingAdmin
from streamkeep.coordinators import Whom
from streamkeep_common.limits import ID_BYTES
from streamkeep_common.methods import ADD_PARTITIONS, ALTER_TOPIC_SETTINGS, CREATE_TOPICS, DELETE_TOPICS
from streamkeep_proto.v1.coordinator_pb2 import (
    AddPartitionsRequest,
    AlterTopicSettings,
    AlterTopicSettingsRequest,
    CreateTopicsRequest,
    DeleteTopicsRequest,
    NewTopic,
    PartitionCount,
    TopicOutcome,
)


class TopicAdmin(WaitingAdmin):
    """See `Admin`."""

    # --- topics ---

    async def create_topic(
        self,
        name: str,
        *,
        partitions: int = 0,
        replication_factor: int = 0,
        settings: SettingsArgument | None = None,
        validate_only: bool = False,
        wait: bool = True,
    ) -> TopicOutcome:
        """Create a topic; 0 takes the cluster's default. With `wait` it can be used at once. `settings` are
        those of docs/settings.md, as `{"retention_ms": "7d"}` or `{"retention_ms": 604_800_000}`.

        Raises TopicExistsError, InvalidTopicNameError, InvalidPartitionCountError,
        InvalidReplicationFactorError, UnknownSettingError or InvalidSettingError.
        """
        topic = NewTopic(
            name=name,
            partitions=partitions,
            replication_factor=replication_factor,
            settings=setting_texts(settings),
        )
        outcome = (await self.create_topics([topic], validate_only=validate_only)).outcomes.values_or_raise()[
            name
        ]
        if wait and not validate_only:
            await self._until_served({name: outcome.metadata_index}, self._timeout_s)
        return outcome

    async def create_topics(
        self, topics: Iterable[NewTopic], *, validate_only: bool = False
    ) -> Answers[str, TopicOutcome]:
        """Create several, each name at most once. They may take a moment: `wait_until_ready`.

        Those without a `topic_id` are given one.
        """
        request = CreateTopicsRequest(topics=topics, validate_only=validate_only)
        for topic in request.topics:
            topic.topic_id = topic.topic_id or self._client.rng.randbytes(ID_BYTES)
        response = await self._ask(Whom.ACTIVE, CREATE_TOPICS, request)
        return _by_name(response.outcomes)

    async def delete_topic(self, name: str, *, validate_only: bool = False) -> TopicOutcome:
        """Delete a topic with all its records. Raises UnknownTopicError, which if an answer was lost may
        be about the topic that this call deleted. Brokers free its space soon: `wait_until_deleted`."""
        return (await self.delete_topics([name], validate_only=validate_only)).outcomes.values_or_raise()[
            name
        ]

    async def delete_topics(
        self, names: Iterable[str] = (), *, topic_ids: Iterable[bytes] = (), validate_only: bool = False
    ) -> Answers[str | bytes, TopicOutcome]:
        """Delete several, by name or id: names first, then ids. Brokers free their space soon."""
        request = DeleteTopicsRequest(names=names, topic_ids=topic_ids, validate_only=validate_only)
        response = await self._ask(Whom.ACTIVE, DELETE_TOPICS, request)
        asked: list[str | bytes] = [*request.names, *request.topic_ids]
        return Answers(zip(asked, response.outcomes, strict=True))

    async def add_partitions(
        self, name: str, partitions: int, *, validate_only: bool = False, wait: bool = True
    ) -> TopicOutcome:
        """Raise the number of a topic's partitions to `partitions`. Keys may go elsewhere from then on.

        Raises UnknownTopicError or InvalidPartitionCountError.
        """
        answers = await self.add_partitions_to_topics({name: partitions}, validate_only=validate_only)
        outcome = answers.outcomes.values_or_raise()[name]
        if wait and not validate_only:
            await self._until_served({name: outcome.metadata_index}, self._timeout_s)
        return outcome

    async def add_partitions_to_topics(
        self, partitions: Mapping[str, int], *, validate_only: bool = False
    ) -> Answers[str, TopicOutcome]:
        """As `add_partitions`, for several topics: the new total of each. They may take a moment."""
        counts = [PartitionCount(name=name, partitions=count) for name, count in partitions.items()]
        request = AddPartitionsRequest(topics=counts, validate_only=validate_only)
        return _by_name((await self._ask(Whom.ACTIVE, ADD_PARTITIONS, request)).outcomes)

    async def alter_topic_settings(
        self,
        name: str,
        *,
        set: SettingsArgument | None = None,  # noqa: A002 - as the message has it
        unset: Iterable[str] = (),
        validate_only: bool = False,
    ) -> TopicOutcome:
        """Set some settings of a topic, and return others to their defaults.

        Raises UnknownTopicError, UnknownSettingError or InvalidSettingError.
        """
        change = AlterTopicSettings(name=name, set=setting_texts(set), unset=unset)
        answers = await self.alter_settings_of_topics([change], validate_only=validate_only)
        return answers.outcomes.values_or_raise()[name]

    async def alter_settings_of_topics(
        self, changes: Iterable[AlterTopicSettings], *, validate_only: bool = False
    ) -> Answers[str, TopicOutcome]:
        """As `alter_topic_settings`, for several topics, each at most once. All changes of a topic are made,
        or none of them."""
        request = AlterTopicSettingsRequest(topics=changes, validate_only=validate_only)
        return _by_name((await self._ask(Whom.ACTIVE, ALTER_TOPIC_SETTINGS, request)).outcomes)


def _by_name(outcomes: Iterable[TopicOutcome]) -> Answers[str, TopicOutcome]:
    return Answers((outcome.name, outcome) for outcome in outcomes)
