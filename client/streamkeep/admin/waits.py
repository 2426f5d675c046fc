"""Waiting for what the cluster does in its own time, with a deadline and a word on what it waits for.

Each wait looks again and again, at first every few milliseconds, and ends as soon as it is so.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from streamkeep.admin.outcomes import Outcomes
from streamkeep.admin.placement import PlacementAdmin
from streamkeep.cluster_view import TopicView
from streamkeep.offsets import OffsetQuestion, list_offsets
from streamkeep.topic_partition import AnyTopicPartition, TopicPartition, topic_partitions_of
from streamkeep_common.errors import StreamkeepError, TimedOutError, UnknownTopicError, raise_if_error
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
        raise _time_is_up(wanted, timeout_s, obstacles) from None


def _time_is_up(wanted: str, timeout_s: float, obstacles: Sequence[str]) -> TimedOutError:
    shown = "; ".join(obstacles[:SHOWN])
    more = f"; and {len(obstacles) - SHOWN} more" if len(obstacles) > SHOWN else ""
    return TimedOutError(f"{wanted} within {timeout_s:g} s: {shown}{more}")


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

        Raises TimedOutError, which names partitions and why they are not served, when time is up (default:
        `request_timeout_ms`), and UnknownTopicError if a topic does not exist.
        """
        await self._until_served(dict.fromkeys(names, 0), self._wait_s(timeout_ms))

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
        wanted = set(topic_partitions_of(topic_partitions))
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

    # --- topics that serve ---

    async def _until_served(self, since: Mapping[str, int], timeout_s: float) -> None:
        """As `wait_until_ready`, for topics as they are from these metadata indexes on, 0 = now."""
        clock = self._client.clock
        deadline_s = clock.monotonic() + timeout_s
        questions: dict[TopicPartition, OffsetQuestion] = {
            TopicPartition(topic.name, number): "latest"
            for topic in await self._topics_since(since, timeout_s)
            for number in range(len(topic.partitions))
        }
        left_s = max(0.0, deadline_s - clock.monotonic())
        failed = Outcomes(await list_offsets(self._client, questions, timeout_s=left_s)).failed
        for error in failed.values():
            if not error.retriable:
                raise error
        if failed:
            obstacles = [f"{topic_partition}: {error}" for topic_partition, error in failed.items()]
            raise _time_is_up("not all partitions were served", timeout_s, obstacles)

    async def _topics_since(self, since: Mapping[str, int], timeout_s: float) -> list[TopicView]:
        """What is known may be older, and of a topic of that name that was deleted."""
        metadata = self._client.metadata
        missing = list(since)
        try:
            async with asyncio.timeout(timeout_s):
                if any(name in metadata.view.topics for name, index in since.items() if not index):
                    await self._refresh(at_once=True)
                is_stale = True
                while True:
                    topics = await metadata.topics(since, timeout_s=timeout_s)
                    found = [_found(topics[name], index) for name, index in since.items()]
                    missing = [name for name, topic in zip(since, found, strict=True) if topic is None]
                    if not missing:
                        return [topic for topic in found if topic is not None]
                    await self._refresh(at_once=is_stale)
                    is_stale = False
        except TimeoutError:
            obstacles = [f"no coordinator has told of topic '{name}' as it is now" for name in missing]
            if self._client.coordinators.last_failure is not None:
                obstacles = [str(self._client.coordinators.last_failure)]
            raise _time_is_up("not all partitions were served", timeout_s, obstacles) from None

    async def _refresh(self, *, at_once: bool) -> None:
        """Ask until a coordinator answers."""
        while (error := await self._client.metadata.refresh(at_once=at_once)) is not None:
            if not error.retriable:
                raise error
            at_once = False

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


def _found(topic: TopicView | StreamkeepError, metadata_index: int) -> TopicView | None:
    """None if that is from before the index. Raises why nothing is known."""
    if isinstance(topic, TopicView):
        return topic if topic.metadata_index >= metadata_index else None
    if metadata_index and isinstance(topic, UnknownTopicError):
        return None  # the coordinator that was asked has not heard of it yet
    raise topic


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
