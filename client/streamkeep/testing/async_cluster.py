"""The cluster as asynchronous tests hold it. The cluster itself lives on a loop of its own."""

from __future__ import annotations

from collections.abc import Callable

from streamkeep.admin.settings import SettingsArgument
from streamkeep.consumer.records import Record
from streamkeep.testing.background import Background
from streamkeep.testing.controls import Controls

WAIT_S = 10.0
"""How long waits go on at most, where it is not said."""


class AsyncCluster:
    """What `async with Cluster() as cluster` and `Cluster.aio` give: the methods of `Cluster`, to be awaited.

    A session's cluster may be used from the loop of each test in turn, or from several loops at once.
    """

    def __init__(self, controls: Controls, running: Callable[[], Background]) -> None:
        self._controls = controls
        self._running = running

    @property
    def bootstrap(self) -> str:
        """See `Cluster.bootstrap`."""
        return self._controls.bootstrap

    @property
    def brokers(self) -> list[int]:
        """See `Cluster.brokers`."""
        return self._controls.brokers

    @property
    def has_stopped_brokers(self) -> bool:
        """See `Cluster.has_stopped_brokers`."""
        return self._controls.has_stopped_brokers

    async def create_topic(
        self,
        name: str,
        *,
        partitions: int = 1,
        replication_factor: int = 0,
        settings: SettingsArgument | None = None,
    ) -> str:
        """See `Cluster.create_topic`."""
        return await self._running().answer(
            self._controls.create_topic(
                name, partitions=partitions, replication_factor=replication_factor, settings=settings
            )
        )

    async def topic(
        self,
        prefix: str = "topic",
        *,
        partitions: int = 1,
        replication_factor: int = 0,
        settings: SettingsArgument | None = None,
    ) -> str:
        """See `Cluster.topic`."""
        return await self._running().answer(
            self._controls.topic(
                prefix, partitions=partitions, replication_factor=replication_factor, settings=settings
            )
        )

    async def records(self, topic: str) -> list[Record]:
        """See `Cluster.records`."""
        return await self._running().answer(self._controls.records(topic))

    async def wait_for_records(self, topic: str, count: int, *, timeout_s: float = WAIT_S) -> list[Record]:
        """See `Cluster.wait_for_records`."""
        return await self._running().answer(
            self._controls.wait_for_records(topic, count, timeout_s=timeout_s)
        )

    async def leader(self, topic: str, partition: int = 0) -> int:
        """See `Cluster.leader`."""
        return await self._running().answer(self._controls.leader(topic, partition))

    async def kill_leader(self, topic: str, partition: int = 0, *, timeout_s: float = WAIT_S) -> int:
        """See `Cluster.kill_leader`."""
        return await self._running().answer(self._controls.kill_leader(topic, partition, timeout_s=timeout_s))

    async def kill_broker(self, broker_id: int) -> None:
        """See `Cluster.kill_broker`."""
        await self._running().answer(self._controls.kill_broker(broker_id))

    async def stop_broker(self, broker_id: int) -> None:
        """See `Cluster.stop_broker`."""
        await self._running().answer(self._controls.stop_broker(broker_id))

    async def start_broker(self, broker_id: int, *, timeout_s: float = WAIT_S) -> None:
        """See `Cluster.start_broker`."""
        await self._running().answer(self._controls.start_broker(broker_id, timeout_s=timeout_s))

    async def wait_until_in_sync(self, *, timeout_s: float = WAIT_S) -> None:
        """See `Cluster.wait_until_in_sync`."""
        await self._running().answer(self._controls.wait_until_in_sync(timeout_s=timeout_s))

    async def restore(self, *, timeout_s: float = WAIT_S) -> None:
        """See `Cluster.restore`."""
        await self._running().answer(self._controls.restore(timeout_s=timeout_s))
