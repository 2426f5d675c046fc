"""Waiting for what the cluster does in its own time, with a deadline and a word on what it waits for.

Each wait looks again and again, at first every few milliseconds, and ends as soon as it is so.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial

from streamkeep.admin.placement import PlacementAdmin
from streamkeep.offsets import OffsetQuestion, list_offsets
from streamkeep.topic_partition import AnyTopicPartition, TopicPartition
from streamkeep_common.errors import StreamkeepError, TimedOutError, raise_if_error
from streamkeep_common.retry import Backoff, RetryPolicy
from streamkeep_common.seams.clock import Clock
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import PartitionInfo, TopicInfo

PACE = RetryPolicy(first_wait_ms=5, max_wait_ms=250)
"""Between two looks."""

SHOWN = 3
"""So many things that are waited for are named; of the others there are so many."""

Look = Callable[[], Awaitable[list[str]]]
"""Sentences about what is still in the way, most telling first; none = it is so."""


async def until_clear(look: Look, *, wanted: str, timeout_s: float, clock: Clock, rng: random.Random) -> None:
    """Return when nothing is in the way. TimedOutError, with what was in the way last, when time is up.

    A retriable error of a look is in the way, too; any other is raised.
    """
    obstacles = ["no coordinator has answered yet"]
    backoff = Backoff(PACE, rng)
    try:
        async with asyncio.timeout(timeout_s):
            while obstacles:
                obstacles = await _look(look)
                if obstacles:
                    await clock.sleep(backoff.next_wait_s())
    except TimeoutError:
        shown = "; ".join(obstacles[:SHOWN])
        more = f"; and {len(obstacles) - SHOWN} more" if len(obstacles) > SHOWN else ""
        raise TimedOutError(f"{wanted} within {timeout_s:g} s: {shown}{more}") from None


async def _look(look: Look) -> list[str]:
    try:
        return await look()
    except StreamkeepError as error:
        if not error.retriable:
            raise
        return [str(error)]


class WaitingAdmin(PlacementAdmin):
    """See `Admin`."""

    # --- waits ---

    async def wait_until_ready(self, *names: str, timeout_ms: int | None = None) -> None:
        """Until every partition of these topics has a leader that serves it.

        Raises the last obstacle when time is up (default: `request_timeout_ms`), and UnknownTopicError if one
        does not exist.
        """
        timeout_s = self._wait_s(timeout_ms)
        topic_partitions: dict[TopicPartition, OffsetQuestion] = {}
        for name in names:
            view = await self._client.metadata.topic(name, timeout_s=timeout_s)
            topic_partitions.update(
                (TopicPartition(name, number), "latest") for number in range(len(view.partitions))
            )
        for outcome in (await list_offsets(self._client, topic_partitions, timeout_s=timeout_s)).values():
            if isinstance(outcome, StreamkeepError):
                raise outcome

    async def wait_until_in_sync(self, *names: str, timeout_ms: int | None = None) -> None:
        """Until every partition of these topics, or of all if none is named, has a leader and all its
        replicas in sync.

        Raises TimedOutError, which names partitions and the brokers that they lack, when time is up (default:
        `request_timeout_ms`), and UnknownTopicError if one does not exist.
        """
        await self._until(partial(self._out_of_sync, names), "not all replicas were in sync", timeout_ms)

    async def wait_until_moved(
        self, *topic_partitions: AnyTopicPartition, timeout_ms: int | None = None
    ) -> None:
        """Until none of these partitions, or of all if none is named, is being moved to other replicas.

        Raises TimedOutError, which names partitions and the brokers that still copy, when time is up
        (default: `request_timeout_ms`); the moves go on.
        """
        wanted = {TopicPartition(*each) for each in topic_partitions}
        await self._until(partial(self._moving, wanted), "not all partitions were moved", timeout_ms)

    async def wait_until_deleted(self, *names: str, timeout_ms: int | None = None) -> None:
        """Until no coordinator knows these topics and no broker that is up holds a replica of them: their
        space is free, but for what is being removed from disk just then.

        Raises TimedOutError when time is up (default: `request_timeout_ms`).
        """
        if names:
            await self._until(partial(self._undeleted, names), "not all topics were gone", timeout_ms)

    async def wait_for_brokers(self, count: int, *, timeout_ms: int | None = None) -> None:
        """Until so many brokers are up: registered and not fenced.

        Raises TimedOutError, which names those that are fenced, when time is up (default:
        `request_timeout_ms`).
        """
        await self._until(partial(self._lacking_brokers, count), f"not {count} brokers were up", timeout_ms)

    def _wait_s(self, timeout_ms: int | None) -> float:
        return self._timeout_s if timeout_ms is None else timeout_ms / 1_000

    async def _until(self, look: Look, wanted: str, timeout_ms: int | None) -> None:
        client = self._client
        timeout_s = self._wait_s(timeout_ms)
        await until_clear(look, wanted=wanted, timeout_s=timeout_s, clock=client.clock, rng=client.rng)

    # --- one look each ---

    async def _out_of_sync(self, names: Iterable[str]) -> list[str]:
        topics = await self.describe_topics(names)
        for topic in topics:
            raise_if_error(topic.error)
        return [lack for topic in topics for lack in _lacks(topic)]

    async def _moving(self, wanted: set[TopicPartition]) -> list[str]:
        moves = await self.list_reassignments(sorted({each.topic for each in wanted}))
        return [
            f"{move.topic_partition} waits for {_brokers(set(move.target) - set(move.isr))}"
            for move in moves
            if not wanted or move.topic_partition in wanted
        ]

    async def _undeleted(self, names: Iterable[str]) -> list[str]:
        wanted = set(names)
        known = [
            f"topic '{topic.name}' still exists"
            for topic in await self.describe_topics(sorted(wanted))
            if topic.error.code != errors_pb2.UNKNOWN_TOPIC
        ]
        return known or await self._held(wanted)

    async def _held(self, topics: set[str]) -> list[str]:
        up = [each.broker_id for each in (await self.describe_cluster()).brokers if not each.fenced]
        in_the_way = []
        for broker_id, dirs in (await self.describe_all_log_dirs(up)).items() if up else ():
            if isinstance(dirs, StreamkeepError):
                in_the_way.append(f"broker {broker_id} does not tell what it holds: {dirs}")
                continue
            held = [each for directory in dirs for each in directory.replicas if each.topic in topics]
            in_the_way += [f"broker {broker_id} still holds {each.topic}-{each.partition}" for each in held]
        return in_the_way

    async def _lacking_brokers(self, count: int) -> list[str]:
        brokers = (await self.describe_cluster()).brokers
        fenced = [f"broker {each.broker_id} at {each.address} is fenced" for each in brokers if each.fenced]
        up = len(brokers) - len(fenced)
        return [f"{up} of {len(brokers)} registered brokers are up", *fenced] if up < count else []


def _lacks(topic: TopicInfo) -> Iterator[str]:
    for partition in topic.partitions:
        if lack := _lack(partition):
            yield f"{TopicPartition(topic.name, partition.partition)} {lack}"


def _lack(partition: PartitionInfo) -> str:
    if not partition.leader:
        return "has no leader"
    missing = set(partition.replicas) - set(partition.isr)
    return f"lacks {_brokers(missing)}" if missing else ""


def _brokers(ids: Iterable[int]) -> str:
    listed = ", ".join(map(str, sorted(ids)))
    return f"broker {listed}" if listed else "its coordinator"
