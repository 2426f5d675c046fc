"""Offsets of partitions by position or time, log starts and producers, asked of their leaders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from streamkeep.client import Client
from streamkeep.leader_calls import Asked, ask_leaders
from streamkeep.topic_partition import TopicPartition
from streamkeep_common.errors import StreamkeepError
from streamkeep_common.methods import DELETE_RECORDS, DESCRIBE_PRODUCERS, LIST_OFFSETS
from streamkeep_proto.v1.broker_pb2 import (
    BY_TIMESTAMP,
    EARLIEST,
    LATEST,
    MAX_TIMESTAMP,
    DeletedRecords,
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DescribeProducersRequest,
    DescribeProducersResponse,
    ListedOffset,
    ListOffsetsPartition,
    ListOffsetsRequest,
)


class AtTime(NamedTuple):
    """The first record, in offset order, with this timestamp or a later one; ms since 1970-01-01 UTC."""

    timestamp_ms: int


OffsetQuestion = Literal["earliest", "latest", "max_timestamp"] | AtTime
"""The log start; the high watermark, which is the next offset to become readable; the first record with the
greatest timestamp; or the first at or after a time."""

_POSITIONS = {"earliest": EARLIEST, "latest": LATEST, "max_timestamp": MAX_TIMESTAMP}


async def list_offsets(
    client: Client, questions: Mapping[TopicPartition, OffsetQuestion], *, timeout_s: float
) -> dict[TopicPartition, ListedOffset | StreamkeepError]:
    """The offset of each partition, or why there is none; see `ask_leaders`.

    ValueError for what is no question.
    """
    for question in questions.values():
        if not (isinstance(question, AtTime) or question in _POSITIONS):
            known = ", ".join(map(repr, _POSITIONS))
            raise ValueError(f"an offset is asked for by {known} or AtTime(ms), not {question!r}")

    async def ask(address: str, asked: list[Asked[OffsetQuestion]], call_s: float) -> Sequence[ListedOffset]:
        request = ListOffsetsRequest(partitions=map(_listed, asked))
        return (await client.call_broker(address, LIST_OFFSETS, request, timeout_s=call_s)).offsets

    return await ask_leaders(client, questions, ask, timeout_s=timeout_s)


async def delete_records(
    client: Client, before_offsets: Mapping[TopicPartition, int], *, timeout_s: float
) -> dict[TopicPartition, DeletedRecords | StreamkeepError]:
    """Move log starts; the new one of each partition, or why it was not moved; see `ask_leaders`."""

    async def ask(address: str, asked: list[Asked[int]], call_s: float) -> Sequence[DeletedRecords]:
        partitions = [
            DeleteRecordsPartition(
                topic_id=item.topic_id, partition=item.topic_partition.partition, before_offset=item.question
            )
            for item in asked
        ]
        # The broker answers before the call is given up, with what it has to say of each partition.
        request = DeleteRecordsRequest(partitions=partitions, timeout_ms=max(1, round(call_s * 800)))
        return (await client.call_broker(address, DELETE_RECORDS, request, timeout_s=call_s)).partitions

    return await ask_leaders(client, before_offsets, ask, timeout_s=timeout_s)


async def describe_producers(
    client: Client, topic_partition: TopicPartition, *, timeout_s: float
) -> DescribeProducersResponse | StreamkeepError:
    """Who has written to a partition, or why its leader does not tell; see `ask_leaders`."""

    async def ask(
        address: str, asked: list[Asked[None]], call_s: float
    ) -> Sequence[DescribeProducersResponse]:
        (item,) = asked
        request = DescribeProducersRequest(
            topic_id=item.topic_id,
            partition=item.topic_partition.partition,
            leader_epoch=item.leader_epoch,
        )
        return [await client.call_broker(address, DESCRIBE_PRODUCERS, request, timeout_s=call_s)]

    return (await ask_leaders(client, {topic_partition: None}, ask, timeout_s=timeout_s))[topic_partition]


def _listed(asked: Asked[OffsetQuestion]) -> ListOffsetsPartition:
    partition = ListOffsetsPartition(
        topic_id=asked.topic_id, partition=asked.topic_partition.partition, leader_epoch=asked.leader_epoch
    )
    if isinstance(asked.question, AtTime):
        partition.position, partition.timestamp_ms = BY_TIMESTAMP, asked.question.timestamp_ms
    else:
        partition.position = _POSITIONS[asked.question]
    return partition
