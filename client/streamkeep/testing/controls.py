"""What a cluster for tests is told to do. Lives on the cluster's own loop.

The docstrings for users are those of `Cluster`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streamkeep.admin.admin import Admin
from streamkeep.admin.settings import SettingsArgument
from streamkeep.client import Client
from streamkeep.consumer.consumer import Consumer
from streamkeep.consumer.records import Record
from streamkeep.testing.failures import ClusterError
from streamkeep.testing.servers import Servers
from streamkeep.topic_partition import TopicPartition
from streamkeep_common.errors import StreamkeepError
from streamkeep_proto.v1.coordinator_pb2 import PartitionInfo, TopicInfo

_LOOK_AGAIN_S = 0.005


class Controls:
    """One cluster and a client of it."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._client: Client | None = None
        self._topics = 0
        self._starting: asyncio.Task[None] | None = None

    @property
    def bootstrap(self) -> str:
        return self._servers.bootstrap

    @property
    def brokers(self) -> list[int]:
        return [number for number, runs in self._servers.brokers.items() if runs]

    @property
    def has_stopped_brokers(self) -> bool:
        return not all(self._servers.brokers.values())

    async def start(self) -> None:
        self._starting = asyncio.create_task(self._servers.start())
        await self._starting
        self._client = Client(self._servers.bootstrap)

    async def stop(self) -> None:
        if self._starting is not None:  # it may still be clearing up after having been cancelled
            await asyncio.wait([self._starting])
        client, self._client = self._client, None
        try:
            if client is not None:
                await client.close()
        finally:
            await self._servers.stop()

    # --- topics ---

    async def create_topic(
        self, name: str, *, partitions: int, replication_factor: int, settings: SettingsArgument | None
    ) -> str:
        await self._admin().create_topic(
            name, partitions=partitions, replication_factor=replication_factor, settings=settings
        )
        return name

    async def topic(
        self, prefix: str, *, partitions: int, replication_factor: int, settings: SettingsArgument | None
    ) -> str:
        self._topics += 1
        return await self.create_topic(
            f"{prefix}-{self._topics}",
            partitions=partitions,
            replication_factor=replication_factor,
            settings=settings,
        )

    async def records(self, topic: str) -> list[Record]:
        async with self._reading(topic) as consumer:
            ends = await consumer.end_offsets(consumer.assignment())
            found = [record async for record in consumer.records(until=ends)]
        return sorted(found, key=_place)

    async def wait_for_records(self, topic: str, count: int, *, timeout_s: float) -> list[Record]:
        found: list[Record] = []
        async with self._reading(topic) as consumer:
            try:
                async with asyncio.timeout(timeout_s):
                    while len(found) < count:
                        found.append(await anext(consumer))
            except TimeoutError:
                raise TimeoutError(
                    f"topic '{topic}' has {len(found)} records after {timeout_s:g} s, not {count}"
                ) from None
        return sorted(found, key=_place)

    @asynccontextmanager
    async def _reading(self, topic: str) -> AsyncIterator[Consumer]:
        async with self._newcomer() as client, Consumer(client) as consumer:
            await consumer.assign(await consumer.partitions_for(topic), start="earliest")
            yield consumer

    # --- brokers ---

    async def leader(self, topic: str, partition: int) -> int:
        info = await self._partition(topic, partition)
        if info.leader not in self.brokers:
            raise ClusterError(f"{TopicPartition(topic, partition)} has no leader that runs")
        return info.leader

    async def kill_leader(self, topic: str, partition: int, *, timeout_s: float) -> int:
        leader = await self.leader(topic, partition)
        in_sync = set((await self._partition(topic, partition)).isr)
        await self.kill_broker(leader)
        if in_sync & set(self.brokers):
            await self._until_led(TopicPartition(topic, partition), timeout_s)
        return leader

    async def stop_broker(self, number: int) -> None:
        self._check_running(number)
        await self._servers.stop_broker(number)

    async def kill_broker(self, number: int) -> None:
        self._check_running(number)
        await self._servers.kill_broker(number)

    async def start_broker(self, number: int, *, timeout_s: float) -> None:
        self._check_known(number)
        if number in self.brokers:
            raise ClusterError(f"broker {number} runs already")
        try:
            async with asyncio.timeout(timeout_s):
                await self._servers.start_broker(number)
        except TimeoutError:
            raise TimeoutError(f"broker {number} has not started within {timeout_s:g} s") from None

    async def restore(self, *, timeout_s: float) -> None:
        stopped = [number for number, runs in self._servers.brokers.items() if not runs]
        await asyncio.gather(*(self.start_broker(number, timeout_s=timeout_s) for number in stopped))
        await self.wait_until_in_sync(timeout_s=timeout_s)

    async def wait_until_in_sync(self, *, timeout_s: float) -> None:
        clock = self._running_client().clock
        deadline_s = clock.monotonic() + timeout_s
        while behind := _behind(await self._admin().describe_topics()):
            if clock.monotonic() > deadline_s:
                raise TimeoutError(f"after {timeout_s:g} s there is still {behind}")
            await clock.sleep(_LOOK_AGAIN_S)

    # --- inside ---

    async def _partition(self, topic: str, partition: int) -> PartitionInfo:
        """Raises UnknownTopicError, or ClusterError if it has no such partition."""
        partitions = (await self._admin().describe_topic(topic)).partitions
        if not 0 <= partition < len(partitions):
            raise ClusterError(f"topic '{topic}' has partitions 0 to {len(partitions) - 1}, not {partition}")
        return partitions[partition]

    async def _until_led(self, topic_partition: TopicPartition, timeout_s: float) -> None:
        """Until a leader answers. TimeoutError says what was in the way."""
        admin = Admin(self._running_client(), request_timeout_ms=int(timeout_s * 1_000))
        answer = (await admin.list_offsets({topic_partition: "latest"}))[topic_partition]
        if isinstance(answer, StreamkeepError):
            raise TimeoutError(f"nobody leads {topic_partition} after {timeout_s:g} s: {answer}") from answer

    def _check_running(self, number: int) -> None:
        self._check_known(number)
        if number not in self.brokers:
            raise ClusterError(f"broker {number} does not run")

    def _check_known(self, number: int) -> None:
        if number not in self._servers.brokers:
            known = ", ".join(map(str, self._servers.brokers))
            raise ClusterError(f"there is no broker {number}: the cluster has {known}")

    def _admin(self) -> Admin:
        return Admin(self._running_client())

    def _newcomer(self) -> Client:
        """A client that knows nothing yet: no topic that was deleted since, and perhaps made anew."""
        self._running_client()
        return Client(self._servers.bootstrap)

    def _running_client(self) -> Client:
        if self._client is None:
            raise ClusterError("the cluster does not run: use it inside its `with` block")
        return self._client


def _place(record: Record) -> tuple[int, int]:
    return record.partition, record.offset


def _behind(topics: list[TopicInfo]) -> str:
    """The first partition that lacks a leader or a replica in sync; empty if there is none."""
    for topic in topics:
        for partition in topic.partitions:
            missing = sorted(set(partition.replicas) - set(partition.isr))
            if missing or partition.leader not in partition.isr:
                name = TopicPartition(topic.name, partition.partition)
                return f"{name}, led by {partition.leader}, not in sync: {missing}"
    return ""
