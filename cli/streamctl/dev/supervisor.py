"""Starts the processes of a development cluster, watches them, and ends them.

Must not know commands or terminals: it takes a plan, and says what happens through callbacks and errors.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from streamctl.dev import processes
from streamctl.dev.cluster_file import ProcessRecord
from streamctl.dev.plan import BROKER, COORDINATOR, ClusterPlan, ServerPlan
from streamctl.dev.ready import NotReadyError, ready_address
from streamctl.dev.store import ClusterStore
from streamctl.failures import CommandError, ExitCode

START_TIMEOUT_S = 30.0
STOP_GRACE_S = 5.0
KILL_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class _Starting:
    """A process that has not said yet that it is ready. `log_start`: where its part of the log begins."""

    server: ServerPlan
    ready_fd: int
    log_start: int


class Supervisor:
    """One cluster, from its start to its end. Every process is remembered before it is waited for."""

    def __init__(self, plan: ClusterPlan, store: ClusterStore) -> None:
        self._plan = plan
        self._store = store
        self._records: dict[str, ProcessRecord] = {}

    @property
    def records(self) -> list[ProcessRecord]:
        """Coordinator first, then brokers by id."""
        return list(self._records.values())

    @property
    def bootstrap(self) -> str:
        """Address of the coordinator, once it is ready."""
        return self._records[self._plan.coordinator.name].address

    async def start(self) -> None:
        """Start everything and wait until it is ready. On failure end what was started, then raise."""
        _refuse_taken_ports(self._plan)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._start_all()
        except TimeoutError:
            await self.stop()
            logs = self._plan.coordinator.log.parent
            raise CommandError(
                f"the cluster was not ready within {START_TIMEOUT_S:.0f} s; its logs are in {logs}",
                ExitCode.UNAVAILABLE,
            ) from None
        except BaseException:
            await self.stop()
            raise

    async def _start_all(self) -> None:
        """All at once, unless the coordinator's port is known only when it is ready."""
        coordinator = self._spawn(self._plan.coordinator, self._plan.coordinator.address)
        if coordinator.server.port == 0:
            await self._become_ready(coordinator)
            coordinators = []
        else:
            coordinators = [coordinator]
        brokers = [self._spawn(broker, self.bootstrap) for broker in self._plan.brokers]
        try:
            async with asyncio.TaskGroup() as group:
                for starting in [*coordinators, *brokers]:
                    group.create_task(self._become_ready(starting))
        except* CommandError as failures:
            raise failures.exceptions[0] from None

    def _spawn(self, server: ServerPlan, coordinator_address: str) -> _Starting:
        log_start = server.log.stat().st_size if server.log.exists() else 0
        child = processes.spawn_python(server.arguments(coordinator_address), server.log)
        record = ProcessRecord(
            role=server.role,
            id=server.id,
            pid=child.pid,
            start_ticks=processes.start_ticks(child.pid) or 0,
            boot_id=processes.boot_id(),
            address=server.address,
            data_dir=str(server.data_dir),
            log=str(server.log),
        )
        self._remember(record)
        return _Starting(server, child.ready_fd, log_start)

    async def _become_ready(self, starting: _Starting) -> None:
        server = starting.server
        try:
            address = await ready_address(starting.ready_fd, server.log, starting.log_start)
        except NotReadyError as error:
            said = str(error).removeprefix(f"streamkeep {server.name}: ").rstrip(".")
            raise CommandError(f"{server.name} did not start: {said}; its log is {server.log}") from error
        self._remember(replace(self._records[server.name], address=address))

    def _remember(self, record: ProcessRecord) -> None:
        self._records[record.name] = record
        self._store.write(self.records)

    async def watch(self, report: Callable[[ProcessRecord, int | None], None]) -> None:
        """Report each process that ends, with its exit status if known; return when all have ended."""
        async with asyncio.TaskGroup() as group:
            for record in self.records:
                group.create_task(_watch_one(record, report))

    async def stop(self) -> list[ProcessRecord]:
        """End what runs and forget the cluster; those that had to be killed."""
        killed = await stop_processes(self.records)
        self._store.forget()
        return killed


async def _watch_one(record: ProcessRecord, report: Callable[[ProcessRecord, int | None], None]) -> None:
    handle = processes.Handle.open(record)
    if handle is None:
        report(record, processes.reap(record.pid))
        return
    try:
        await handle.ended()
        report(record, processes.reap(record.pid))
    finally:
        handle.close()


async def stop_processes(records: Iterable[ProcessRecord]) -> list[ProcessRecord]:
    """End these and wait for it: brokers before coordinators, because they say goodbye to them.

    SIGTERM first; what has not ended after STOP_GRACE_S is killed and returned.
    """
    records = list(records)
    killed: list[ProcessRecord] = []
    for role in (BROKER, COORDINATOR):
        group = [record for record in records if record.role == role]
        outcomes = await asyncio.gather(*map(_end, group))
        killed += [record for record, was_killed in zip(group, outcomes, strict=True) if was_killed]
    return killed


async def _end(record: ProcessRecord) -> bool:
    """Whether it had to be killed."""
    handle = processes.Handle.open(record)
    if handle is None:
        processes.reap(record.pid)
        return False
    try:
        return await _terminate(handle)
    finally:
        handle.close()
        processes.reap(record.pid)


async def _terminate(handle: processes.Handle) -> bool:
    handle.send(signal.SIGTERM)
    handle.send(signal.SIGCONT)  # a paused process could not hear the first signal
    try:
        async with asyncio.timeout(STOP_GRACE_S):
            await handle.ended()
    except TimeoutError:
        handle.send(signal.SIGKILL)
        async with asyncio.timeout(KILL_WAIT_S):
            await handle.ended()
        return True
    return False


def _refuse_taken_ports(plan: ClusterPlan) -> None:
    """Raises CommandError for a port that somebody listens on: the sentence is clearer than a child's log."""
    for server in plan.servers:
        host, _, port = server.address.rpartition(":")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, int(port)))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                raise CommandError(
                    f"port {port}, for {server.name}, is taken by another program: end it, or choose other"
                    " ports with --port-base"
                ) from error
