"""What changed between two images, for those who must act on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
    ids_before = tuple(before.topics.unshared_keys(after.topics))
    ids_after = tuple(after.topics.unshared_keys(before.topics))
    kept = [key for key in ids_after if key in before.topics]
    broker_ids = sorted({**before.brokers, **after.brokers})
    return ImageDelta(
        before=before,
        after=after,
        new_topics=tuple(after.topics[key] for key in ids_after if key not in before.topics),
        removed_topics=tuple(before.topics[key] for key in ids_before if key not in after.topics),
        changed_partitions=tuple(
            partition
            for key in ids_after
            for partition in _changed(before.topics.get(key), after.topics[key])
        ),
        changed_settings=tuple(
            key for key in kept if before.topics[key].settings != after.topics[key].settings
        ),
        changed_brokers=tuple(key for key in broker_ids if before.brokers.get(key) != after.brokers.get(key)),
        quorum_changed=before.quorum != after.quorum,
    )


def _changed(before: TopicImage | None, after: TopicImage) -> Iterator[PartitionImage]:
    known = before.partitions if before is not None else ()
    for number, partition in enumerate(after.partitions):
        if number >= len(known) or known[number] != partition:
            yield partition
