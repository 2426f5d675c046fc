"""Where reading begins: what a caller names, as an offset of each partition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from streamkeep.client import Client
from streamkeep.offsets import AtTime, OffsetQuestion, list_offsets
from streamkeep.topic_partition import TopicPartition
from streamkeep_common.errors import StreamkeepError
from streamkeep_proto.v1.broker_pb2 import ListedOffset

Start = Literal["earliest", "latest"] | int | AtTime
"""Where to begin: the log start, the end, an offset, or a time (the end, if no record is as late)."""


async def find_starts(
    client: Client, starts: Mapping[TopicPartition, Start], *, timeout_s: float
) -> dict[TopicPartition, int]:
    """Each start as an offset. ValueError for what is no start; raises why one could not be found."""
    for start in starts.values():
        _check(start)
    found = await ask_offsets(
        client,
        {topic_partition: start for topic_partition, start in starts.items() if not isinstance(start, int)},
        timeout_s=timeout_s,
    )
    too_late: dict[TopicPartition, OffsetQuestion] = {
        topic_partition: "latest" for topic_partition, offset in found.items() if offset < 0
    }
    found.update(await ask_offsets(client, too_late, timeout_s=timeout_s))
    return {
        topic_partition: start if isinstance(start, int) else found[topic_partition]
        for topic_partition, start in starts.items()
    }


async def ask_offsets(
    client: Client, questions: Mapping[TopicPartition, OffsetQuestion], *, timeout_s: float
) -> dict[TopicPartition, int]:
    """What the leaders answer; -1 where no record is as late as asked."""
    answers = await list_offsets(client, questions, timeout_s=timeout_s)
    return {topic_partition: _offset(answer) for topic_partition, answer in answers.items()}


def _check(start: Start) -> None:
    if isinstance(start, bool) or not (isinstance(start, int | AtTime) or start in ("earliest", "latest")):
        raise ValueError(f"start is 'earliest', 'latest', an offset or AtTime(ms), not {start!r}")
    if isinstance(start, int) and start < 0:
        raise ValueError(f"an offset is never negative, but {start} is")


def _offset(answer: ListedOffset | StreamkeepError) -> int:
    if isinstance(answer, StreamkeepError):
        raise answer
    return answer.offset
