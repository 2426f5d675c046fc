"""The cluster that users' tests hold: `with Cluster() as cluster`, or `async with`."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from streamkeep.admin.settings import SettingsArgument
from streamkeep.consumer.records import Record
from streamkeep.testing.async_cluster import WAIT_S, AsyncCluster
from streamkeep.testing.background import THREAD_NAME, Background
from streamkeep.testing.controls import Controls
from streamkeep.testing.failures import require
from streamkeep.testing.servers import Servers


class Cluster:
    """A real cluster: the shipping coordinators and brokers.

    coordinators          how many, 1 (default) to 7.
    brokers               how many, from 1 (default); with 3 there is failover to be tested.
    processes             False (default): all within this process, on a network and disks in memory. Clients
                          of this process reach it by `bootstrap`, from any thread and event loop; nobody else
                          does. True: processes of their own on free ports of 127.0.0.1, data in a temporary
                          directory; slower to start, and for programs that are started as processes, too.
    coordinator_settings  settings of the servers that differ from their defaults, by name, as text: see
    broker_settings       docs/settings.md.

    Use it in a `with` block, in which calls block, or in an `async with` block, which gives an
    `AsyncCluster`, in which they are awaited. When the block ends, however it ends, everything is gone:
    threads, processes and data. A cluster can be used once. Any thread may call.

    Raises MissingExtraError if the extra `server` is not installed (with `processes`, also `cli`),
    ClusterError if the cluster does not start, and UnknownSettingError or InvalidSettingError for wrong
    settings.
    """

    def __init__(
        self,
        *,
        coordinators: int = 1,
        brokers: int = 1,
        processes: bool = False,
        coordinator_settings: Mapping[str, str] | None = None,
        broker_settings: Mapping[str, str] | None = None,
    ) -> None:
        self._background: Background | None = None
        if not 1 <= coordinators <= 7 or not 1 <= brokers <= 99:
            raise ValueError("a cluster has 1 to 7 coordinators and 1 to 99 brokers")
        make_servers, make_loop = _kind(in_processes=processes)
        servers = make_servers(coordinators, brokers, coordinator_settings or {}, broker_settings or {})
        self._controls = Controls(servers)
        self._make_loop = make_loop
        self._was_started = False

    def __repr__(self) -> str:
        return f"<streamkeep.testing.Cluster, brokers that run: {self.brokers}>"

    # --- from start to end ---

    def __enter__(self) -> Self:
        background = self._begin()
        try:
            background.call(self._controls.start())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> AsyncCluster:
        background = self._begin()
        try:
            await background.answer(self._controls.start())
        except BaseException:
            await self._close()
            raise
        return self.aio

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    def __del__(self) -> None:
        if self._background is None or not self._background.is_here:
            return
        complaint = f"{self!r} was not closed"
        if self._background.is_current:  # garbage is collected wherever there is some
            threading.Thread(target=self.close, name=THREAD_NAME, daemon=True).start()
        else:
            self.close()
        warnings.warn(complaint, ResourceWarning, stacklevel=2, source=self)

    def close(self) -> None:
        """End everything. Again is once. In a forked child nothing happens: the cluster is its parent's."""
        background, self._background = self._background, None
        if background is not None and background.is_here:
            try:
                background.call(self._controls.stop())
            finally:
                background.end()

    async def _close(self) -> None:
        background, self._background = self._background, None
        if background is not None:
            try:
                await background.answer(self._controls.stop())
            finally:
                background.end()

    def _begin(self) -> Background:
        if self._was_started:
            raise RuntimeError("a cluster can be used once: make another one")
        self._was_started = True
        background = self._background = Background(self._make_loop)
        background.start()
        return background

    # --- the cluster ---

    @property
    def bootstrap(self) -> str:
        """What to give to `Producer`, `Consumer`, `Admin` or `Client`: the coordinators as "host:port",
        several with commas."""
        return self._controls.bootstrap

    @property
    def brokers(self) -> list[int]:
        """The ids of the brokers that run. They are numbered from 1."""
        return self._controls.brokers

    @property
    def has_stopped_brokers(self) -> bool:
        """A broker was stopped or killed, and not started again."""
        return self._controls.has_stopped_brokers

    @property
    def aio(self) -> AsyncCluster:
        """The same cluster for asynchronous tests: with methods of the same names that are awaited."""
        return AsyncCluster(self._controls, self._running)

    # --- topics ---

    def create_topic(
        self,
        name: str,
        *,
        partitions: int = 1,
        replication_factor: int = 0,
        settings: SettingsArgument | None = None,
    ) -> str:
        """Create a topic, which can be used at once, and return its name.

        `replication_factor` 0 is the cluster's default: 3, or as many as there are brokers. Raises
        TopicExistsError and what else `Admin.create_topic` does.
        """
        return self._running().call(
            self._controls.create_topic(
                name, partitions=partitions, replication_factor=replication_factor, settings=settings
            )
        )

    def topic(
        self,
        prefix: str = "topic",
        *,
        partitions: int = 1,
        replication_factor: int = 0,
        settings: SettingsArgument | None = None,
    ) -> str:
        """As `create_topic`, under a name that this cluster has not had yet: `prefix` and a number."""
        return self._running().call(
            self._controls.topic(
                prefix, partitions=partitions, replication_factor=replication_factor, settings=settings
            )
        )

    def records(self, topic: str) -> list[Record]:
        """All records of a topic that can be read now: by partition, then by offset.

        What was acknowledged is among them. Raises UnknownTopicError.
        """
        return self._running().call(self._controls.records(topic))

    def wait_for_records(self, topic: str, count: int, *, timeout_s: float = WAIT_S) -> list[Record]:
        """The first `count` records that are read of a topic, as soon as there are so many.

        In the order of `records`. TimeoutError says how many there are.
        """
        return self._running().call(self._controls.wait_for_records(topic, count, timeout_s=timeout_s))

    # --- brokers ---

    def leader(self, topic: str, partition: int = 0) -> int:
        """The id of the broker that leads a partition. ClusterError if none that runs does."""
        return self._running().call(self._controls.leader(topic, partition))

    def kill_leader(self, topic: str, partition: int = 0, *, timeout_s: float = WAIT_S) -> int:
        """Kill the broker that leads a partition, and return its id once another one leads.

        If no replica in sync is left (there was only one), nobody is waited for. TimeoutError if nobody leads
        in time.
        """
        return self._running().call(self._controls.kill_leader(topic, partition, timeout_s=timeout_s))

    def kill_broker(self, broker_id: int) -> None:
        """End a broker as SIGKILL does: it tells nobody, and others find out. Its data stay.

        ClusterError if it does not run.
        """
        self._running().call(self._controls.kill_broker(broker_id))

    def stop_broker(self, broker_id: int) -> None:
        """End a broker as SIGTERM does: it hands its partitions over first. Its data stay.

        ClusterError if it does not run.
        """
        self._running().call(self._controls.stop_broker(broker_id))

    def start_broker(self, broker_id: int, *, timeout_s: float = WAIT_S) -> None:
        """Start a broker that was stopped or killed, on its data, and return when the cluster counts on it.

        It may still have to catch up: `wait_until_in_sync`. ClusterError if it runs.
        """
        self._running().call(self._controls.start_broker(broker_id, timeout_s=timeout_s))

    def wait_until_in_sync(self, *, timeout_s: float = WAIT_S) -> None:
        """Return when every partition has a leader and all of its replicas are in sync.

        TimeoutError names one that has not.
        """
        self._running().call(self._controls.wait_until_in_sync(timeout_s=timeout_s))

    def restore(self, *, timeout_s: float = WAIT_S) -> None:
        """Start every broker that does not run, and wait until all replicas are in sync."""
        self._running().call(self._controls.restore(timeout_s=timeout_s))

    def _running(self) -> Background:
        if self._background is None:
            raise RuntimeError("the cluster does not run: use it inside its `with` block")
        return self._background


MakeServers = Callable[[int, int, Mapping[str, str], Mapping[str, str]], Servers]


def _kind(*, in_processes: bool) -> tuple[MakeServers, Callable[[], asyncio.AbstractEventLoop]]:
    """Imported when a cluster is made: the SDK needs no servers, and their code takes a while to load."""
    if in_processes:
        require("server", "cli")
        from streamkeep.testing.processes import ProcessServers
        from streamkeep.testing.processes import make_loop as make_plain_loop

        return ProcessServers, make_plain_loop
    require("server")
    from streamkeep.testing.in_process import InProcessServers
    from streamkeep.testing.life import make_loop

    return InProcessServers, make_loop
