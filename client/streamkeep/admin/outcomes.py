"""What became of several items that one call was about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from streamkeep.leader_calls import Item
from streamkeep.topic_partition import TopicPartition
from streamkeep_common.errors import StreamkeepError, from_proto

K = TypeVar("K")
V = TypeVar("V")
M = TypeVar("M", bound=Item)


class Outcomes(dict[K, V | StreamkeepError], Generic[K, V]):
    """For each item, in the order asked, its value or the error that says why there is none.

    offsets = await admin.list_offsets({("flights", 0): "latest", ("flights", 9): "latest"})
    offsets[("flights", 0)]       a value, or a StreamkeepError
    offsets.succeeded             the values
    offsets.failed                the errors
    offsets.values_or_raise()     the values, or the first error raised
    """

    @property
    def succeeded(self) -> dict[K, V]:
        """The values of the items that have one."""
        return {item: each for item, each in self.items() if not isinstance(each, StreamkeepError)}

    @property
    def failed(self) -> dict[K, StreamkeepError]:
        """The errors of the others."""
        return {item: each for item, each in self.items() if isinstance(each, StreamkeepError)}

    def values_or_raise(self) -> dict[K, V]:
        """All values. Raises the first item's error if any has one; what was done to others stays done."""
        for error in self.failed.values():
            raise error
        return self.succeeded


class Answers(list[M], Generic[K, M]):
    """What a change of several items came to: the cluster's message for each, with an `error` where nothing
    was done. Of a plan the cluster may have found some of the items itself.

    answers = await admin.create_topics([NewTopic(name="flights"), NewTopic(name="delays")])
    answers[0].partitions         the message of the first
    answers.outcomes              `Outcomes` by item: the message, or a StreamkeepError
    """

    def __init__(self, answers: Iterable[tuple[K, M]]) -> None:
        pairs = list(answers)
        super().__init__(message for _, message in pairs)
        self.outcomes: Outcomes[K, M] = Outcomes(
            {item: from_proto(message.error) if message.error.code else message for item, message in pairs}
        )


class PartitionItem(Item, Protocol):
    """A message about one partition."""

    @property
    def topic(self) -> str: ...

    @property
    def partition(self) -> int: ...


P = TypeVar("P", bound=PartitionItem)


def by_partition(messages: Iterable[P]) -> Answers[TopicPartition, P]:
    """Messages that name their partitions."""
    return Answers((TopicPartition(each.topic, each.partition), each) for each in messages)
