"""The name of a partition, as users write it; a variable that holds one is called `topic_partition`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeVar


class TopicPartition(NamedTuple):
    """One partition of a topic. A plain `(topic, partition)` tuple is equal to it and may be used instead."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


AnyTopicPartition = TypeVar("AnyTopicPartition", bound=tuple[str, int])
"""A TopicPartition or a plain tuple, as keys of what users pass."""


def topic_partition_of(given: object) -> TopicPartition:
    """What a user passed for one. TypeError, saying what would be one."""
    match given:
        case str() as topic, int() as partition:
            return TopicPartition(topic, partition)
    raise TypeError(
        f"a partition is (topic, number), not {given!r}; partitions_for(topic) gives all those of a topic"
    )


def topic_partitions_of(given: Iterable[object]) -> list[TopicPartition]:
    """What a user passed for several. TypeError, also for the name of a topic."""
    if isinstance(given, str):
        topic_partition_of(given)
    return [topic_partition_of(each) for each in given]
