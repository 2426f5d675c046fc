"""Starts the processes of a development cluster, watches them, and ends them.

Must not know commands or terminals: it takes a plan, and says what happens through callbacks and errors.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable, Sequence

from streamctl.dev import processes
from streamctl.dev.cluster_file import NOT_LIVING, ProcessRecord
from streamctl.dev.ending import stop_processes
from streamctl.dev.launch import START_TIMEOUT_S, Launched, launch, readiness
from streamctl.dev.plan import ClusterPlan, ServerPlan
from streamctl.dev.ports import is_taken, settled
from streamctl.dev.store import ClusterStore
from streamctl.failures import CommandError, ExitCode

PORT_ATTEMPTS = 3
"""So often other ports are drawn when somebody was quicker."""

Report = Callable[[ProcessRecord, int | None], None]


class Supervisor:
    """One cluster, from its start to its end. Every process is remembered before it is waited for."""

    def __init__(self, plan: ClusterPlan, store: ClusterStore, rng: random.Random) -> None:
        self._plan = plan
        self._store = store
        self._rng = rng
        self._records: dict[str, ProcessRecord] = {}

    @property
    def records(self) -> list[ProcessRecord]:
        """Coordinators first, each role by id."""
        return list(self._records.values())

    @property
    def coordinators(self) -> list[str]:
        """Their addresses, once the cluster has started."""
        return [coordinator.address for coordinator in self._plan.coordinators]

    async def start(self) -> None:
        """Start everything and wait until it is ready. On failure end what was started, then raise."""
        drawn = {server.name for server in self._plan.servers if not server.port}
        _refuse_taken_ports([server for server in self._plan.servers if server.port])
        for attempts_left in reversed(range(PORT_ATTEMPTS)):
            self._plan = settled(self._plan, self._rng)
            self._store.write_ports(self._plan.ports)
            try:
                await self._start_in_time()
                return
            except CommandError:
                lost = [server for server in self._plan.servers if server.name in drawn and is_taken(server)]
                if not lost or not attempts_left:
                    raise
                self._plan = self._plan.with_ports(dict.fromkeys((server.name for server in lost), 0))

    async def _start_in_time(self) -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._start_all()
        except TimeoutError:
            await self.stop()
            logs = self._plan.servers[0].log.parent
            raise CommandError(
                f"the cluster was not ready within {START_TIMEOUT_S:.0f} s; its logs are in {logs}",
                ExitCode.UNAVAILABLE,
            ) from None
        except BaseException:
            await self.stop()
            raise

    async def _start_all(self) -> None:
        started = [self._launch(server) for server in self._plan.servers]
        try:
            async with asyncio.TaskGroup() as group:
                for launched in started:
                    group.create_task(readiness(launched))
        except* CommandError as failures:
            raise failures.exceptions[0] from None

    def _launch(self, server: ServerPlan) -> Launched:
        launched = launch(
            ProcessRecord(
                role=server.role,
                id=server.id,
                pid=0,
                start_ticks=0,
                boot_id="",
                address=server.address,
                data_dir=str(server.data_dir),
                log=str(server.log),
                arguments=server.arguments(self._plan.coordinators),
            )
        )
        self._records[server.name] = launched.record
        self._store.write(self.records)
        return launched

    async def watch(self, report: Report) -> None:
        """Report each process that ends, with its exit status if known; return when all have ended.

        Those that were started again one by one meanwhile are waited for, too.
        """
        watched = self.records
        while watched:
            async with asyncio.TaskGroup() as group:
                for record in watched:
                    group.create_task(_watch_one(record, report))
            watched = [record for record in self._store.read() if _lives(record)]

    def kill(self, role: str, number: int) -> None:
        """End one process as a crash does (SIGKILL): nothing is flushed, nobody is told."""
        record = self._records[f"{role} {number}"]
        handle = processes.Handle.open(record)
        assert handle is not None, f"{record.name} has ended already"
        handle.send(signal.SIGKILL)
        handle.close()

    async def stop(self) -> list[ProcessRecord]:
        """End what runs and forget the cluster; those that had to be killed."""
        killed = await stop_processes(self._store.read())
        self._store.forget()
        return killed


def _lives(record: ProcessRecord) -> bool:
    return processes.state_of(record) not in NOT_LIVING


async def _watch_one(record: ProcessRecord, report: Report) -> None:
    handle = processes.Handle.open(record)
    if handle is None:
        report(record, processes.reap(record.pid))
        return
    try:
        await handle.ended()
        report(record, processes.reap(record.pid))
    finally:
        handle.close()


def _refuse_taken_ports(servers: Sequence[ServerPlan]) -> None:
    """Raises CommandError for a port that somebody listens on: the sentence is clearer than a child's log."""
    for server in servers:
        if is_taken(server):
            raise CommandError(
                f"port {server.port}, for {server.name}, is taken by another program: end it, or put a new"
                " cluster elsewhere with --port-base and --data-dir"
            )
