"""How many partitions lack something, counted anew only where the image has changed.

To count 200,000 partitions takes some 100 ms, and a metric is asked for every few seconds.
"""

from __future__ import annotations

from typing import NamedTuple

from streamkeep_common.image import ClusterImage, TopicImage
from streamkeep_coordinator.metadata.topic_settings import min_insync_replicas


class Health(NamedTuple):
    """Numbers of partitions."""

    under_replicated: int = 0
    """With a replica that is not in sync. One that a reassignment adds does not count."""
    under_min_isr: int = 0
    """With fewer in sync than are needed for anything to be acknowledged."""
    reassigning: int = 0


class HealthCounter:
    """Follows one image after the other."""

    def __init__(self) -> None:
        self._image = ClusterImage()
        self._health = Health()

    def of(self, image: ClusterImage) -> Health:
        """Takes time by what has changed since the image of the last call."""
        topics, before = image.topics, self._image.topics
        if image is not self._image:
            for _, topic, known in topics.unshared(before):
                self._add(topic, 1)
                if known is not None:
                    self._add(known, -1)
            for _, gone, kept in before.unshared(topics):
                if kept is None:
                    self._add(gone, -1)
            self._image = image
        return self._health

    def _add(self, topic: TopicImage, sign: int) -> None:
        counted = health_of(topic)
        self._health = Health(
            *(total + sign * number for total, number in zip(self._health, counted, strict=True))
        )


def health_of(topic: TopicImage) -> Health:
    """One topic counted from nothing."""
    minimum = min_insync_replicas(topic)
    partitions = topic.partitions
    return Health(
        under_replicated=sum(
            len(each.isr) < len(each.replicas) - len(each.adding_replicas) for each in partitions
        ),
        under_min_isr=sum(len(each.isr) < each.required_isr(minimum) for each in partitions),
        reassigning=sum(bool(each.adding_replicas or each.removing_replicas) for each in partitions),
    )
