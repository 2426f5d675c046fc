"""What changed between two images, for those who must act on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from streamkeep_common.image.model import ClusterImage, PartitionImage, TopicImage


@dataclass(frozen=True, slots=True)
class ImageDelta:
    """From `before` to `after`; what came and went in between does not show.

    `changed_partitions` are new or changed ones, as they are in `after`. `changed_settings` names existing
    topics (their ids) whose settings changed; a new topic is only in `new_topics`.
    """

    before: ClusterImage
    after: ClusterImage
    new_topics: tuple[TopicImage, ...] = ()
    removed_topics: tuple[TopicImage, ...] = ()
    changed_partitions: tuple[PartitionImage, ...] = ()
    changed_settings: tuple[bytes, ...] = ()
    changed_brokers: tuple[int, ...] = ()
    quorum_changed: bool = False


def difference(before: ClusterImage, after: ClusterImage) -> ImageDelta:
    """The delta of two images, however they came about: a watcher that was sent a snapshot needs it.

    Takes time by what the two do not share.
    """
    came_or_changed = list(after.topics.unshared(before.topics))
    broker_ids = sorted({**before.brokers, **after.brokers})
    return ImageDelta(
        before=before,
        after=after,
        new_topics=tuple(topic for _, topic, known in came_or_changed if known is None),
        removed_topics=tuple(
            topic for _, topic, kept in before.topics.unshared(after.topics) if kept is None
        ),
        changed_partitions=tuple(
            partition for _, topic, known in came_or_changed for partition in _changed(known, topic)
        ),
        changed_settings=tuple(
            key
            for key, topic, known in came_or_changed
            if known is not None and known.settings != topic.settings
        ),
        changed_brokers=tuple(key for key in broker_ids if before.brokers.get(key) != after.brokers.get(key)),
        quorum_changed=before.quorum != after.quorum,
    )


def _changed(before: TopicImage | None, after: TopicImage) -> Iterable[PartitionImage]:
    if before is None:
        return after.partitions
    kept = len(before.partitions)
    return chain(
        (new for old, new in zip(before.partitions, after.partitions, strict=False) if old != new),
        after.partitions[kept:],
    )
