"""An image under change, while the records of one entry are applied.

Collects drafts, so that a topic's partitions are copied once an entry and not once a record, and knows at
the end what was changed. It does the bookkeeping; what a record means is `apply`'s.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from streamkeep_common.image.delta import ImageDelta
from streamkeep_common.image.model import BrokerImage, ClusterImage, PartitionImage, TopicImage

K = TypeVar("K", bound=Hashable)


class DoesNotFitError(Exception):
    """A record contradicts the image under change; the message says how."""


class TopicDraft:
    """A topic under change. `changed` holds the numbers of new and changed partitions, in order."""

    __slots__ = ("changed", "name", "partitions", "settings", "topic_id", "was")

    def __init__(self, topic: TopicImage) -> None:
        self.was = topic
        self.topic_id = topic.topic_id
        self.name = topic.name
        self.partitions = list(topic.partitions)
        self.settings = dict(topic.settings)
        self.changed: dict[int, None] = {}

    @property
    def settings_changed(self) -> bool:
        return self.settings != self.was.settings

    def freeze(self) -> TopicImage:
        partitions = tuple(self.partitions) if self.changed else self.was.partitions
        settings = self.settings if self.settings_changed else self.was.settings
        return TopicImage(self.topic_id, self.name, partitions, settings)


class Tally(Generic[K]):
    """Counts under change; those that reach zero are dropped."""

    __slots__ = ("_base", "_counts")

    def __init__(self, base: Mapping[K, int]) -> None:
        self._base = base
        self._counts: dict[K, int] | None = None

    def add(self, key: K, count: int) -> None:
        if self._counts is None:
            self._counts = dict(self._base)
        changed = self._counts.get(key, 0) + count
        assert changed >= 0, f"{key!r} counted below zero"
        if changed:
            self._counts[key] = changed
        else:
            del self._counts[key]

    def freeze(self) -> Mapping[K, int]:
        return self._base if self._counts is None else self._counts


class ImageEdit:
    """Changes to one image, read as if they were made."""

    def __init__(self, image: ClusterImage) -> None:
        self._image = image
        self.cluster_id = image.cluster_id
        self.feature_level = image.feature_level
        self.quorum = image.quorum
        self.next_producer_id = image.next_producer_id
        self.topics = image.topics.edit()
        self.topic_ids = image.topic_ids.edit()
        self._drafts: dict[bytes, TopicDraft] = {}
        self._removed: dict[bytes, None] = {}
        self._brokers: dict[int, BrokerImage] = {}
        self._leaders = Tally(image.leader_counts)
        self._replicas = Tally(image.replica_counts)
        self._directories = Tally(image.directory_counts)

    def draft(self, topic_id: bytes) -> TopicDraft:
        """The topic, to be changed in place. DoesNotFitError if there is none."""
        draft = self._drafts.get(topic_id)
        if draft is None:
            topic = self.topics.get(topic_id)
            if topic is None:
                raise DoesNotFitError(f"there is no topic {topic_id.hex()}")
            draft = self._drafts[topic.topic_id] = TopicDraft(topic)
        return draft

    def add_partition(self, draft: TopicDraft, partition: PartitionImage) -> None:
        draft.partitions.append(partition)
        draft.changed[partition.partition] = None
        self._count(partition, 1)

    def change_partition(self, draft: TopicDraft, before: PartitionImage, after: PartitionImage) -> None:
        draft.partitions[after.partition] = after
        draft.changed[after.partition] = None
        self._leaders.add(before.leader, -1)
        self._leaders.add(after.leader, 1)

    def remove_topic(self, draft: TopicDraft) -> None:
        for partition in draft.partitions:
            self._count(partition, -1)
        self.topics.remove(draft.topic_id)
        self.topic_ids.remove(draft.name)
        del self._drafts[draft.topic_id]
        if draft.topic_id in self._image.topics:
            self._removed[draft.topic_id] = None

    def broker(self, broker_id: int) -> BrokerImage | None:
        return self._brokers.get(broker_id) or self._image.brokers.get(broker_id)

    def set_broker(self, broker: BrokerImage) -> None:
        self._brokers[broker.broker_id] = broker

    def finish(self, index: int) -> tuple[ClusterImage, ImageDelta]:
        """The image after the changes, and what they were. The edit must not be used again."""
        for topic_id, draft in self._drafts.items():
            self.topics.set(topic_id, draft.freeze())
        brokers: Mapping[int, BrokerImage] = self._image.brokers
        if self._brokers:
            brokers = dict(sorted({**brokers, **self._brokers}.items()))
        after = ClusterImage(
            index=index,
            cluster_id=self.cluster_id,
            feature_level=self.feature_level,
            quorum=self.quorum,
            next_producer_id=self.next_producer_id,
            brokers=brokers,
            topics=self.topics.freeze(),
            topic_ids=self.topic_ids.freeze(),
            leader_counts=self._leaders.freeze(),
            replica_counts=self._replicas.freeze(),
            directory_counts=self._directories.freeze(),
        )
        return after, self._delta(after)

    def _count(self, partition: PartitionImage, count: int) -> None:
        self._leaders.add(partition.leader, count)
        for broker_id in partition.replicas:
            self._replicas.add(broker_id, count)
        for directory_id in partition.directory_ids:
            self._directories.add(directory_id, count)

    def _delta(self, after: ClusterImage) -> ImageDelta:
        before = self._image
        drafts = self._drafts.values()
        known = [draft for draft in drafts if draft.topic_id in before.topics]
        return ImageDelta(
            before=before,
            after=after,
            new_topics=tuple(after.topics[key] for key in self._drafts if key not in before.topics),
            removed_topics=tuple(before.topics[key] for key in self._removed),
            changed_partitions=tuple(draft.partitions[n] for draft in drafts for n in draft.changed),
            changed_settings=tuple(draft.topic_id for draft in known if draft.settings_changed),
            changed_brokers=tuple(self._brokers),
            quorum_changed=before.quorum != after.quorum,
        )
