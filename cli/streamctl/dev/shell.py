"""What `dev start`, `dev status` and `dev stop` do, and what they say about it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from streamctl.dev.cluster_file import ProcessRecord, ProcessState, refusal
from streamctl.dev.processes import state_of
from streamctl.dev.store import ClusterStore, default_data_dir, known_data_dirs
from streamctl.dev.supervisor import Supervisor, stop_processes
from streamctl.failures import CommandError, ExitCode
from streamctl.invocation import DEFAULT_BOOTSTRAP, Invocation
from streamctl.output import Table, emit, note

COLUMNS = ("ROLE", "ID", "PID", "ADDRESS", "STATE", "DATA")


async def run_detached(invocation: Invocation, supervisor: Supervisor, store: ClusterStore) -> None:
    """Start, say so, leave it running."""
    await _start(supervisor, store)
    _announce(invocation, supervisor)
    note(f"End it with `streamctl dev stop --data-dir {store.data_dir}`.")


async def run_attached(invocation: Invocation, supervisor: Supervisor, store: ClusterStore) -> None:
    """Start, say so, stay until Ctrl-C or until every process has ended."""
    await _start(supervisor, store)
    statuses: list[int | None] = []

    def report(record: ProcessRecord, status: int | None) -> None:
        statuses.append(status)
        _report_end(record, status)

    try:
        _announce(invocation, supervisor)
        note("Ctrl-C ends it.")
        await supervisor.watch(report)
    except asyncio.CancelledError:
        note("Stopping.")
        _report_killed(await supervisor.stop())
        return
    store.forget()
    if any(status != 0 for status in statuses):
        raise CommandError("every process of the cluster has ended", ExitCode.UNHEALTHY)


async def _start(supervisor: Supervisor, store: ClusterStore) -> None:
    with store.locked():
        records = store.read()
        reason = refusal(records, [state_of(record) for record in records], str(store.data_dir))
        if reason is not None:
            raise CommandError(reason)
        await supervisor.start()


def _announce(invocation: Invocation, supervisor: Supervisor) -> None:
    _emit_processes(invocation, [(record, state_of(record)) for record in supervisor.records])
    where = "" if supervisor.bootstrap == DEFAULT_BOOTSTRAP else f" --bootstrap {supervisor.bootstrap}"
    note(f"The cluster is ready. Try `streamctl topic create flights{where}`.")


def _report_end(record: ProcessRecord, status: int | None) -> None:
    """A process ended although nobody here asked it to."""
    how = (
        "ended"
        if status is None
        else f"was killed by signal {-status}"
        if status < 0
        else f"exited with {status}"
    )
    note(f"{record.name} (pid {record.pid}) {how}; its log is {record.log}")


def _report_killed(killed: Sequence[ProcessRecord]) -> None:
    for record in killed:
        note(f"{record.name} (pid {record.pid}) did not stop in time and was killed; its log is {record.log}")


def chosen_stores(data_dir: Path | None) -> list[ClusterStore]:
    """The directory that was named, else every known cluster, else the default directory."""
    if data_dir is not None:
        return [ClusterStore(data_dir.absolute())]
    return [ClusterStore(path) for path in known_data_dirs() or [default_data_dir()]]


def show_status(invocation: Invocation, stores: Sequence[ClusterStore]) -> None:
    """Show all processes; raises CommandError (NOT_FOUND, UNHEALTHY) unless all run."""
    found = [(record, state_of(record)) for store in stores for record in store.read()]
    _emit_processes(invocation, found)
    if not found:
        directories = ", ".join(str(store.data_dir) for store in stores)
        raise CommandError(
            f"no cluster was started in {directories}: `streamctl dev` starts one", ExitCode.NOT_FOUND
        )
    ill = [f"{record.name} is {state.value}" for record, state in found if state is not ProcessState.RUNNING]
    if ill:
        raise CommandError(
            f"{', '.join(ill)}: `streamctl dev stop`, then start again; the logs say why", ExitCode.UNHEALTHY
        )


def _emit_processes(invocation: Invocation, found: Sequence[tuple[ProcessRecord, ProcessState]]) -> None:
    processes = [
        {
            "role": record.role,
            "id": record.id,
            "pid": record.pid,
            "address": record.address,
            "data_dir": record.data_dir,
            "state": state.value,
        }
        for record, state in found
    ]
    rows = [(r.role, r.id, r.pid, r.address, state.value, r.data_dir) for r, state in found]
    emit(invocation, processes, Table(COLUMNS, rows))


async def stop(invocation: Invocation, stores: Sequence[ClusterStore]) -> None:
    """End the cluster that runs, and forget those that have died. Nothing to end is no failure.

    Of several, the one that other commands speak to is meant.
    """
    alive = [store for store in stores if _is_running(store)]
    running = alive if len(alive) < 2 else [store for store in alive if _listens(store, invocation.bootstrap)]
    if alive and not running:
        directories = " and ".join(str(store.data_dir) for store in alive)
        raise CommandError(f"clusters run in {directories}: say which to end with --data-dir", ExitCode.USAGE)
    for store in stores:
        if store not in alive:
            store.forget()
    ended: list[ProcessRecord] = []
    for store in running:
        with store.locked():
            ended = store.read()
            _report_killed(await stop_processes(ended))
            store.forget()
        note(f"Ended {len(ended)} processes. The data stay in {store.data_dir}.")
    if not running:
        note("No cluster is running.")
    if invocation.json:
        _emit_processes(invocation, [(record, state_of(record)) for record in ended])


def _listens(store: ClusterStore, address: str) -> bool:
    return any(record.address == address for record in store.read())


def _is_running(store: ClusterStore) -> bool:
    return any(state_of(record) is not ProcessState.DEAD for record in store.read())
