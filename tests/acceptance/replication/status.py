"""What the acceptance runs ask of replicas: who leads, who is in sync, whether they hold the same bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from streamkeep import Admin
from streamkeep_common.errors import StreamkeepError
from streamkeep_proto.v1.coordinator_pb2 import PartitionInfo, TopicInfo

LOOK_AGAIN_S = 0.05


async def topic_when(
    admin: Admin, name: str, condition: Callable[[TopicInfo], bool], *, within_s: float = 30.0
) -> TopicInfo:
    """The first description that fulfils the condition. TimeoutError with the last one."""
    last: TopicInfo | StreamkeepError | None = None
    try:
        async with asyncio.timeout(within_s):
            while True:
                try:
                    last = await admin.describe_topic(name)
                    if condition(last):
                        return last
                except StreamkeepError as error:
                    last = error
                await asyncio.sleep(LOOK_AGAIN_S)
    except TimeoutError:
        raise TimeoutError(f"topic {name}: not within {within_s} s; at last: {last}") from None


def all_in_sync(topic: TopicInfo) -> bool:
    """Every partition has a leader, and all of its replicas are in sync."""
    return all(each.leader and sorted(each.isr) == sorted(each.replicas) for each in topic.partitions)


def led_by(broker: int) -> Callable[[TopicInfo], bool]:
    """Of all partitions, with all replicas in sync."""
    return lambda topic: all_in_sync(topic) and all(each.leader == broker for each in topic.partitions)


async def partition_of(admin: Admin, topic: str, partition: int = 0) -> PartitionInfo:
    """One partition, as it is now."""
    return (await admin.describe_topic(topic)).partitions[partition]


async def leader_when_in_sync(admin: Admin, topic: str, *, within_s: float = 60.0) -> int:
    """Who leads the first partition, once every replica of the topic is in sync."""
    return (await topic_when(admin, topic, all_in_sync, within_s=within_s)).partitions[0].leader


async def differing_replicas(
    admin: Admin, topic: str, ends: Mapping[int, int], *, within_s: float = 30.0
) -> Sequence[str]:
    """How the replicas of a topic that nobody writes to differ, up to these ends, by partition.

    Followers get a moment to learn that the high watermark is there.
    """
    found: Sequence[str] = ["nobody was asked"]
    try:
        async with asyncio.timeout(within_s):
            while found:
                found = [
                    f"{each.topic_partition}: {each.from_offset} to {each.to_offset}: {dict(each.replicas)}"
                    for each in await admin.verify_replicas([topic])
                    if not each.identical or each.to_offset != ends[each.topic_partition.partition]
                ]
                await asyncio.sleep(LOOK_AGAIN_S)
    except TimeoutError:
        pass  # what was found last is what differs
    return found
