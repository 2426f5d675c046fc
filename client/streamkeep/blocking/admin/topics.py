"""Topics and their settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streamkeep.admin.outcomes import Answers
from streamkeep.admin.settings import SettingsArgument
from streamkeep.blocking.admin.base import AdminBase
from streamkeep_proto.v1.coordinator_pb2 import AlterTopicSettings, NewTopic, TopicOutcome


class TopicAdmin(AdminBase):
    """See `Admin`."""

    def create_topic(
        self,
        name: str,
        *,
        partitions: int = 0,
        replication_factor: int = 0,
        settings: SettingsArgument | None = None,
        validate_only: bool = False,
        wait: bool = True,
    ) -> TopicOutcome:
        """Create a topic; 0 takes the cluster's default. With `wait` it can be used at once."""
        return self._call(
            self._on_loop.create_topic(
                name,
                partitions=partitions,
                replication_factor=replication_factor,
                settings=settings,
                validate_only=validate_only,
                wait=wait,
            )
        )

    def create_topics(
        self, topics: Iterable[NewTopic], *, validate_only: bool = False
    ) -> Answers[str, TopicOutcome]:
        """Create several, each name at most once. They may take a moment: `wait_until_ready`."""
        return self._call(self._on_loop.create_topics(topics, validate_only=validate_only))

    def delete_topic(self, name: str, *, validate_only: bool = False) -> TopicOutcome:
        """Delete a topic with all its records. Raises UnknownTopicError, which if an answer was lost may
        be about the topic that this call deleted. Brokers free its space soon:
        `wait_until_deleted`."""
        return self._call(self._on_loop.delete_topic(name, validate_only=validate_only))

    def delete_topics(
        self, names: Iterable[str] = (), *, topic_ids: Iterable[bytes] = (), validate_only: bool = False
    ) -> Answers[str | bytes, TopicOutcome]:
        """Delete several, by name or id: names first, then ids. Brokers free their space soon."""
        return self._call(
            self._on_loop.delete_topics(names, topic_ids=topic_ids, validate_only=validate_only)
        )

    def add_partitions(
        self, name: str, partitions: int, *, validate_only: bool = False, wait: bool = True
    ) -> TopicOutcome:
        """Raise the number of a topic's partitions to `partitions`. Keys may go elsewhere from then on."""
        return self._call(
            self._on_loop.add_partitions(name, partitions, validate_only=validate_only, wait=wait)
        )

    def add_partitions_to_topics(
        self, partitions: Mapping[str, int], *, validate_only: bool = False
    ) -> Answers[str, TopicOutcome]:
        """As `add_partitions`, for several topics: the new total of each. They may take a moment."""
        return self._call(self._on_loop.add_partitions_to_topics(partitions, validate_only=validate_only))

    def alter_topic_settings(
        self,
        name: str,
        *,
        set: SettingsArgument | None = None,  # noqa: A002 - as the message has it
        unset: Iterable[str] = (),
        validate_only: bool = False,
    ) -> TopicOutcome:
        """Set some settings of a topic, and return others to their defaults."""
        return self._call(
            self._on_loop.alter_topic_settings(name, set=set, unset=unset, validate_only=validate_only)
        )

    def alter_settings_of_topics(
        self, changes: Iterable[AlterTopicSettings], *, validate_only: bool = False
    ) -> Answers[str, TopicOutcome]:
        """As `alter_topic_settings`, for several topics, each at most once. All changes of a topic are
        made, or none of them."""
        return self._call(self._on_loop.alter_settings_of_topics(changes, validate_only=validate_only))
