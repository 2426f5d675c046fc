"""What a change of the image means for the replicas of one broker. Pure: images in, partitions out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streamkeep_common.image import ImageDelta, PartitionImage, TopicImage


def concerned(
    delta: ImageDelta, hosted: Iterable[tuple[bytes, int]], *, broker_id: int
) -> Iterable[PartitionImage]:
    """The replicas on this broker of which there is news: of the partition itself, or of a broker that has
    one of its replicas: epoch, fence, address and rack count, and of this broker the fence.

    `hosted` are those that it has already, by topic id and number.
    """
    news = frozenset(delta.changed_brokers)
    if not _is_fence_changed(delta, broker_id):
        news -= {broker_id}
    found = {}
    for key in hosted if news else ():
        image = delta.after.partition(*key)
        if image is not None and not news.isdisjoint(image.replicas):
            found[key] = image
    found.update(((image.topic_id, image.partition), image) for image in delta.changed_partitions)
    return [image for image in found.values() if broker_id in image.replicas]


def removed(delta: ImageDelta) -> Iterator[tuple[TopicImage, PartitionImage]]:
    """The partitions that are gone with their topics."""
    for topic in delta.removed_topics:
        for image in topic.partitions:
            yield topic, image


def moved_away(delta: ImageDelta, broker_id: int) -> Iterator[PartitionImage]:
    """The partitions that have changed and have no replica on this broker."""
    return (image for image in delta.changed_partitions if broker_id not in image.replicas)


def topic_of(delta: ImageDelta, image: PartitionImage) -> str:
    """The name of a topic that may be gone."""
    return (delta.after.topics.get(image.topic_id) or delta.before.topics[image.topic_id]).name


def _is_fence_changed(delta: ImageDelta, broker_id: int) -> bool:
    return delta.before.is_live(broker_id) != delta.after.is_live(broker_id)
