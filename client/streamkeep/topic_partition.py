"""The name of a partition, as users write it; a variable that holds one is called `topic_partition`."""

from __future__ import annotations

from typing import NamedTuple, TypeVar


class TopicPartition(NamedTuple):
    """One partition of a topic. A plain `(topic, partition)` tuple is equal to it and may be used instead."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


AnyTopicPartition = TypeVar("AnyTopicPartition", bound=tuple[str, int])
"""A TopicPartition or a plain tuple, as keys of what users pass."""
