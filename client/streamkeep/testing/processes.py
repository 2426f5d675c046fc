"""Coordinators and brokers as processes, started and ended by what `streamctl dev` does it with.

The data are in a temporary directory, and so are the logs. Must not know what is done with the cluster.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from streamctl.dev.cluster_file import NOT_LIVING, ProcessRecord
from streamctl.dev.ending import stop_processes
from streamctl.dev.launch import launch, readiness
from streamctl.dev.plan import BROKER, ClusterPlan, ServerPlan, plan_cluster
from streamctl.dev.processes import Handle, reap, state_of
from streamctl.dev.store import ClusterStore
from streamctl.dev.supervisor import Supervisor
from streamctl.failures import CommandError
from streamkeep.testing import guardian
from streamkeep.testing.failures import ClusterError


class ProcessServers:
    """See `servers.Servers`."""

    def __init__(
        self,
        coordinators: int,
        brokers: int,
        coordinator_settings: Mapping[str, str],
        broker_settings: Mapping[str, str],
    ) -> None:
        self._counts = coordinators, brokers
        self._settings = coordinator_settings, broker_settings
        self._store: ClusterStore | None = None
        self._supervisor: Supervisor | None = None
        self._guardian: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return ",".join(self._supervisor.coordinators) if self._supervisor else ""

    @property
    def brokers(self) -> dict[int, bool]:
        known = self._store.read() if self._store else []
        return {each.id: state_of(each) not in NOT_LIVING for each in known if each.role == BROKER}

    async def start(self) -> None:
        self._store = ClusterStore(Path(tempfile.mkdtemp(prefix="streamkeep-testing-")), listed=False)
        self._guardian = _guarded(self._store.data_dir)
        self._supervisor = Supervisor(self._plan(self._store.data_dir), self._store, random.SystemRandom())
        with _told():
            await self._supervisor.start()

    async def stop(self) -> None:
        if self._supervisor is None or self._store is None or self._guardian is None:
            return
        try:
            await self._supervisor.stop()
            shutil.rmtree(self._store.data_dir)
        finally:
            with self._guardian:  # closes its input: what is still there is left to it
                self._guardian = None

    def _plan(self, folder: Path) -> ClusterPlan:
        (coordinators, brokers), (coordinator_settings, broker_settings) = self._counts, self._settings
        plan = plan_cluster(folder, coordinators=coordinators, brokers=brokers, port_base=0)
        return replace(
            plan,
            coordinators=[_tuned(server, coordinator_settings) for server in plan.coordinators],
            brokers=[_tuned(server, broker_settings) for server in plan.brokers],
        )

    async def start_broker(self, number: int) -> None:
        store, record = self._known(number)
        launched = launch(record)
        store.replace(launched.record)
        try:
            with _told():
                await readiness(launched)
        except BaseException:
            await stop_processes([launched.record])
            store.replace(launched.record.stopped())
            raise

    async def stop_broker(self, number: int) -> None:
        store, record = self._known(number)
        await stop_processes([record])
        store.replace(record.stopped())

    async def kill_broker(self, number: int) -> None:
        store, record = self._known(number)
        handle = Handle.open(record)
        if handle is not None:
            try:
                handle.send(signal.SIGKILL)
                await handle.ended()
            finally:
                handle.close()
        reap(record.pid)
        store.replace(record.stopped())

    def _known(self, number: int) -> tuple[ClusterStore, ProcessRecord]:
        """What is known of a broker, and where."""
        assert self._store is not None, "it was not started"
        (record,) = (each for each in self._store.read() if (each.role, each.id) == (BROKER, number))
        return self._store, record


def _guarded(folder: Path) -> subprocess.Popen[bytes]:
    """See `guardian`. It has a session of its own, for Ctrl-C is not meant for it."""
    command = [sys.executable, "-P", guardian.__file__, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 - all ours


@dataclass(frozen=True, slots=True)
class _TunedServer(ServerPlan):
    """A server with settings of its own, by name."""

    settings: tuple[tuple[str, str], ...] = ()

    def arguments(self, coordinators: Sequence[ServerPlan]) -> list[str]:
        flags = [word for name, text in self.settings for word in (f"--{name.replace('_', '-')}", text)]
        return [*ServerPlan.arguments(self, coordinators), *flags]


def _tuned(server: ServerPlan, settings: Mapping[str, str]) -> ServerPlan:
    return _TunedServer(
        server.role, server.id, server.address, server.data_dir, server.log, tuple(settings.items())
    )


def make_loop() -> asyncio.AbstractEventLoop:
    """One on which this cluster is spoken to by gRPC, beside the loops of the program under test."""
    return asyncio.SelectorEventLoop()


@contextmanager
def _told() -> Iterator[None]:
    """A command's error, as those who use no command line are told."""
    try:
        yield
    except CommandError as error:
        raise ClusterError(error.message.partition("; its log")[0]) from error
