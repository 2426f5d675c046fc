"""Waiting until a change has come about."""

from __future__ import annotations

from streamkeep.blocking.admin.base import AdminBase
from streamkeep.topic_partition import AnyTopicPartition


class WaitingAdmin(AdminBase):
    """See `Admin`."""

    def wait_until_ready(self, *names: str, timeout_ms: int | None = None) -> None:
        """Until every partition of these topics has a leader that serves it."""
        self._call(self._on_loop.wait_until_ready(*names, timeout_ms=timeout_ms))

    def wait_until_in_sync(self, *names: str, timeout_ms: int | None = None) -> None:
        """Until every partition of these topics, or of all if none is named, has a leader and all its
        replicas in sync."""
        self._call(self._on_loop.wait_until_in_sync(*names, timeout_ms=timeout_ms))

    def wait_until_moved(self, *topic_partitions: AnyTopicPartition, timeout_ms: int | None = None) -> None:
        """Until none of these partitions, or of all if none is named, is being moved to other replicas."""
        self._call(self._on_loop.wait_until_moved(*topic_partitions, timeout_ms=timeout_ms))

    def wait_until_deleted(self, *names: str, timeout_ms: int | None = None) -> None:
        """Until no coordinator knows these topics and no broker that is up holds a replica of them: their
        space is free, but for what is being removed from disk just then."""
        self._call(self._on_loop.wait_until_deleted(*names, timeout_ms=timeout_ms))

    def wait_for_brokers(self, count: int, *, timeout_ms: int | None = None) -> None:
        """Until so many brokers are up: registered and not fenced."""
        self._call(self._on_loop.wait_for_brokers(count, timeout_ms=timeout_ms))
