"""Unary calls about partitions: one call to each broker that leads some, until all are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from streamkeep.client import BROKER_TIMEOUT_S, Client
from streamkeep.cluster_view import NO_ADDRESS
from streamkeep.topic_partition import TopicPartition
from streamkeep_common.errors import (
    LeaderNotAvailableError,
    StreamkeepError,
    UnknownPartitionError,
    UnknownTopicError,
    from_proto,
)
from streamkeep_common.retry import Backoff, RetryPolicy
from streamkeep_proto.v1 import errors_pb2

_RETRY = RetryPolicy(first_wait_ms=10, max_wait_ms=250)
_LEAST_CALL_S = 0.05


class Item(Protocol):
    """Part of an answer, with an outcome of its own."""

    @property
    def error(self) -> errors_pb2.Error: ...


T = TypeVar("T")
R = TypeVar("R", bound=Item)


class Asked(NamedTuple, Generic[T]):
    """One partition, with what a request says of it."""

    topic_partition: TopicPartition
    topic_id: bytes
    leader_epoch: int
    question: T


AskLeader = Callable[[str, list[Asked[T]], float], Awaitable[Sequence[R]]]
"""Makes one call to the broker at an address, which may take so many seconds; its answers are in the order
asked."""


async def ask_leaders(
    client: Client, questions: Mapping[TopicPartition, T], ask: AskLeader[T, R], *, timeout_s: float
) -> dict[TopicPartition, R | StreamkeepError]:
    """An answer or an error for each partition, in the order given.

    Leaders are looked up and retriable errors retried for `timeout_s`; then the last one is the outcome.
    """
    outcomes: dict[TopicPartition, R | StreamkeepError] = {}
    deadline_s = client.clock.monotonic() + timeout_s
    backoff = Backoff(_RETRY, client.rng)
    unanswered = dict(questions)
    while True:
        known, unknown = await _find_leaders(client, unanswered, deadline_s)
        outcomes.update(unknown)
        call_s = min(BROKER_TIMEOUT_S, _left_s(client, deadline_s))
        calls = (_ask_leader(client, address, asked, ask, call_s) for address, asked in known.items())
        for answered in await asyncio.gather(*calls):
            outcomes.update(answered)
        unanswered = {
            topic_partition: questions[topic_partition]
            for topic_partition in unanswered
            if _may_change(client, topic_partition, outcomes[topic_partition])
        }
        wait_s = backoff.next_wait_s()
        if not unanswered or client.clock.monotonic() + wait_s > deadline_s:
            return {topic_partition: outcomes[topic_partition] for topic_partition in questions}
        client.metadata.refresh_soon()
        await client.clock.sleep(wait_s)


def _may_change(client: Client, topic_partition: TopicPartition, outcome: R | StreamkeepError) -> bool:
    """Ask again? A broker that does not know a topic which the coordinators know has not heard of it yet."""
    if not isinstance(outcome, StreamkeepError):
        return False
    unheard_of = isinstance(outcome, UnknownTopicError | UnknownPartitionError)
    return outcome.retriable or (unheard_of and client.metadata.view.knows(topic_partition))


def _left_s(client: Client, deadline_s: float) -> float:
    """Until the deadline; never so short that an answer that is there would not be heard."""
    return max(_LEAST_CALL_S, deadline_s - client.clock.monotonic())


async def _find_leaders(
    client: Client, questions: Mapping[TopicPartition, T], deadline_s: float
) -> tuple[dict[str, list[Asked[T]]], dict[TopicPartition, StreamkeepError]]:
    """What to ask at each address, and what there is nobody to ask about."""
    known: dict[str, list[Asked[T]]] = {}
    unknown: dict[TopicPartition, StreamkeepError] = {}
    names = (topic_partition.topic for topic_partition in questions)
    topics = await client.metadata.topics(names, timeout_s=_left_s(client, deadline_s))
    for topic_partition, question in questions.items():
        topic = topics[topic_partition.topic]
        if isinstance(topic, StreamkeepError):
            unknown[topic_partition] = topic
            continue
        try:
            partition = topic.partition(topic_partition.partition)
        except StreamkeepError as error:
            unknown[topic_partition] = error
            continue
        if partition.address == NO_ADDRESS:
            unknown[topic_partition] = LeaderNotAvailableError(f"{topic_partition} has no leader")
        else:
            asked = Asked(topic_partition, topic.topic_id, partition.leader_epoch, question)
            known.setdefault(partition.address, []).append(asked)
    return known, unknown


async def _ask_leader(
    client: Client, address: str, asked: list[Asked[T]], ask: AskLeader[T, R], timeout_s: float
) -> dict[TopicPartition, R | StreamkeepError]:
    try:
        answers = await ask(address, asked, timeout_s)
    except StreamkeepError as error:
        return {item.topic_partition: error for item in asked}
    return {
        item.topic_partition: _outcome(client, item.topic_partition, answer)
        for item, answer in zip(asked, answers, strict=True)
    }


def _outcome(client: Client, topic_partition: TopicPartition, answer: R) -> R | StreamkeepError:
    if answer.error.code == errors_pb2.NONE:
        return answer
    error = from_proto(answer.error)
    client.metadata.hint(topic_partition.topic, topic_partition.partition, error.leader)
    return error
