"""An image under change, while records are applied to it.

Collects drafts, so that a topic's partitions are copied once an entry and not once a record, and knows at
the end what was changed. It does the bookkeeping; what a record means is `apply`'s.
"""

from __future__ import annotations

from collections.abc import Mapping

from streamkeep_common.image.delta import ImageDelta
from streamkeep_common.image.model import BrokerImage, ClusterImage, PartitionImage, TopicImage
from streamkeep_common.image.tally import PartitionCounts


class DoesNotFitError(Exception):
    """A record contradicts the image under change; the message says how."""


class TopicDraft:
    """A topic under change. `changed` holds the numbers of new and changed partitions, in order.

    Settings are copied at their first change: most drafts are made for partitions.
    """

    __slots__ = ("_settings", "changed", "name", "partitions", "topic_id", "was")

    def __init__(self, topic: TopicImage) -> None:
        self.was = topic
        self.topic_id = topic.topic_id
        self.name = topic.name
        self.partitions = list(topic.partitions)
        self.changed: dict[int, None] = {}
        self._settings: dict[str, str] | None = None

    @property
    def settings_changed(self) -> bool:
        return self._settings is not None and self._settings != self.was.settings

    def set(self, name: str, value: str | None) -> None:
        """A setting; None = back to the default."""
        if self._settings is None:
            self._settings = dict(self.was.settings)
        if value is None:
            self._settings.pop(name, None)
        else:
            self._settings[name] = value

    def put(self, partition: PartitionImage) -> None:
        """The next partition, or one that is known, as it is from now on."""
        number = partition.partition
        if number == len(self.partitions):
            self.partitions.append(partition)
        else:
            self.partitions[number] = partition
        self.changed[number] = None

    def count_into(self, counts: PartitionCounts) -> None:
        """Add what was changed since the topic was counted last."""
        before, after = self.was.partitions, self.partitions
        known = len(before)
        changed = [n for n in self.changed if n < known]
        moved = [n for n in changed if _is_moved(before[n], after[n])]
        counts.change((before[n].leader, after[n].leader) for n in changed)
        counts.move([before[n] for n in moved], [after[n] for n in moved])
        counts.add(after[known:])

    def freeze(self) -> TopicImage:
        partitions = tuple(self.partitions) if self.changed else self.was.partitions
        settings = self._settings if self.settings_changed else None
        return TopicImage(
            self.topic_id, self.name, partitions, self.was.settings if settings is None else settings
        )


def _is_moved(before: PartitionImage, after: PartitionImage) -> bool:
    """Mere changes of who leads share the tuples, and they are the many."""
    return before.replicas is not after.replicas or before.directory_ids is not after.directory_ids


class ImageEdit:
    """Changes to one image, read as if they were made."""

    def __init__(self, image: ClusterImage) -> None:
        self._image = image
        self.cluster_id = image.cluster_id
        self.feature_level = image.feature_level
        self.quorum = image.quorum
        self.next_producer_id = image.next_producer_id
        self._topics = image.topics.edit()
        self._topic_ids = image.topic_ids.edit()
        self._drafts: dict[bytes, TopicDraft] = {}
        self._removed: dict[bytes, None] = {}
        self._brokers: dict[int, BrokerImage | None] = {}
        self.removed_brokers: Mapping[int, int] = image.removed_brokers
        self._counts = PartitionCounts(image)

    def draft(self, topic_id: bytes) -> TopicDraft:
        """The topic, to be changed in place. DoesNotFitError if there is none."""
        draft = self._drafts.get(topic_id)
        if draft is None:
            topic = self._topics.get(topic_id)
            if topic is None:
                raise DoesNotFitError(f"there is no topic {topic_id.hex()}")
            draft = self._drafts[topic.topic_id] = TopicDraft(topic)
        return draft

    def add_topic(self, topic: TopicImage) -> None:
        """DoesNotFitError if its name or its id is taken."""
        if topic.name in self._topic_ids or topic.topic_id in self._topics:
            raise DoesNotFitError(f"there is a topic {topic.name} or {topic.topic_id.hex()} already")
        self._topics.set(topic.topic_id, topic)
        self._topic_ids.set(topic.name, topic.topic_id)
        self._drafts[topic.topic_id] = TopicDraft(topic)

    def remove_topic(self, topic_id: bytes) -> None:
        """DoesNotFitError if there is none."""
        draft = self._drafts.pop(topic_id, None)
        topic = self._topics.get(topic_id) if draft is None else draft.was
        if topic is None:
            raise DoesNotFitError(f"there is no topic {topic_id.hex()}")
        self._counts.remove(topic.partitions)
        self._topics.remove(topic_id)
        self._topic_ids.remove(topic.name)
        if topic_id in self._image.topics:
            self._removed[topic_id] = None

    def broker(self, broker_id: int) -> BrokerImage | None:
        return self._brokers[broker_id] if broker_id in self._brokers else self._image.brokers.get(broker_id)

    def set_broker(self, broker: BrokerImage) -> None:
        self._brokers[broker.broker_id] = broker
        if broker.broker_id in self.removed_brokers:
            self.removed_brokers = {
                broker_id: epoch
                for broker_id, epoch in self.removed_brokers.items()
                if broker_id != broker.broker_id
            }

    def remove_broker(self, broker_id: int) -> None:
        """DoesNotFitError unless it is there, fenced, and had no replica before these changes."""
        broker = self.broker(broker_id)
        if broker is None or not broker.fenced or broker_id in self._image.hosted:
            raise DoesNotFitError(f"broker {broker_id} is not there, not fenced, or still has replicas")
        self._brokers[broker_id] = None
        self.removed_brokers = {**self.removed_brokers, broker_id: broker.broker_epoch}

    def lift_epochs(self, by: int) -> None:
        """Raise the leader epoch and the partition epoch of all partitions that there were before."""
        for topic_id in self._image.topics:
            if topic_id not in self._removed:
                draft = self.draft(topic_id)
                for known in list(draft.partitions):
                    epochs = known.leader_epoch + by, known.partition_epoch + by
                    draft.put(known._replace(leader_epoch=epochs[0], partition_epoch=epochs[1]))

    def finish_topics(self, similar: ClusterImage, *, keep: int) -> None:
        """Put away the topics drafted so far but the newest `keep`. One that is equal to that of `similar`
        is shared with it. The delta will not speak of them.
        """
        while len(self._drafts) > keep:
            draft = self._drafts.pop(next(iter(self._drafts)))
            draft.count_into(self._counts)
            topic = draft.freeze()
            known = similar.topics.get(draft.topic_id)
            self._topics.set(draft.topic_id, known if known is not None and known == topic else topic)

    def finish(self, index: int) -> tuple[ClusterImage, ImageDelta]:
        """The image after the changes, and what they were. The edit must not be used again."""
        for topic_id, draft in self._drafts.items():
            draft.count_into(self._counts)
            self._topics.set(topic_id, draft.freeze())
        brokers: Mapping[int, BrokerImage] = self._image.brokers
        if self._brokers:
            changed = sorted({**brokers, **self._brokers}.items())
            brokers = {broker_id: broker for broker_id, broker in changed if broker is not None}
        after = ClusterImage(
            index=index,
            cluster_id=self.cluster_id,
            feature_level=self.feature_level,
            quorum=self.quorum,
            next_producer_id=self.next_producer_id,
            brokers=brokers,
            removed_brokers=self.removed_brokers,
            topics=self._topics.freeze(),
            topic_ids=self._topic_ids.freeze(),
            leader_counts=self._counts.leaders.freeze(),
            replica_counts=self._counts.replicas.freeze(),
            directory_counts=self._counts.directories.freeze(),
            hosted=self._counts.hosted(),
        )
        return after, self._delta(after)

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
