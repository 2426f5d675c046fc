"""What the two kinds of clusters have in common: servers that can be started and ended."""

from __future__ import annotations

from typing import Protocol


class Servers(Protocol):
    """The coordinators and brokers of one cluster, each numbered from 1. All of it on one event loop."""

    @property
    def bootstrap(self) -> str:
        """The coordinators' addresses, once they have started."""
        ...

    @property
    def brokers(self) -> dict[int, bool]:
        """Whether each broker runs, by id."""
        ...

    async def start(self) -> None:
        """Start everything, and return when it serves. ClusterError says why it cannot."""
        ...

    async def stop(self) -> None:
        """End everything, and leave nothing behind. May follow a `start` that failed or was cancelled."""
        ...

    async def start_broker(self, number: int) -> None:
        """Start one that does not run, on its own data."""
        ...

    async def stop_broker(self, number: int) -> None:
        """End it in order, as SIGTERM does. Nothing happens if it does not run."""
        ...

    async def kill_broker(self, number: int) -> None:
        """End it as SIGKILL does."""
        ...
