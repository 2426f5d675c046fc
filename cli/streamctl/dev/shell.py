"""What `dev start`, `dev status` and `dev stop` do, and what they say about it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click

from streamctl.dev.choice import is_running, known_bootstrap, running_store
from streamctl.dev.cluster_file import ProcessRecord, ProcessState, refusal
from streamctl.dev.ending import stop_processes
from streamctl.dev.hints import data_dir_option, typed
from streamctl.dev.plan import ClusterPlan, coordinator_count, first_port, plan_cluster
from streamctl.dev.processes import state_of
from streamctl.dev.store import ClusterStore
from streamctl.dev.supervisor import Supervisor
from streamctl.failures import CommandError, ExitCode
from streamctl.invocation import DEFAULT_BOOTSTRAP, Invocation, not_utf8
from streamctl.output import Table, emit, note

COLUMNS = ("ROLE", "ID", "PID", "ADDRESS", "STATE", "DATA")


def planned(
    store: ClusterStore, *, coordinators: int | None, brokers: int, port_base: int | None
) -> ClusterPlan:
    """What to start in the store's directory; None: as it is there, or the default.

    Raises UsageError if its coordinators could not find each other, or could agree on nothing, or if servers
    could not tell where their data are.
    """
    if complaint := not_utf8(str(store.data_dir)):
        raise click.UsageError(f"the data directory {complaint}: use another --data-dir")
    present, known_ports = store.coordinators(), store.read_ports()
    try:
        count = coordinator_count(coordinators, present)
    except ValueError as error:
        raise click.UsageError(
            f"{error}: start all of {store.data_dir}, or use another --data-dir"
        ) from error
    _tell_of_coordinators(present, count, is_told=coordinators is not None)
    base = first_port(known_ports) if port_base is None else port_base
    plan = plan_cluster(store.data_dir, coordinators=count, brokers=brokers, port_base=base)
    if not port_base:
        return plan.with_ports(known_ports)
    if len(present) > 1 and any(known_ports.get(c.name, c.port) != c.port for c in plan.coordinators):
        raise click.UsageError(
            f"the coordinators in {store.data_dir} know each other by the ports of their first start: leave"
            " --port-base out, or use another --data-dir"
        )
    return plan


def _tell_of_coordinators(present: Sequence[int], count: int, *, is_told: bool) -> None:
    if present == [1] and not is_told:
        note(
            "The data here belong to one coordinator, so one is started. To have three: start with"
            " --coordinators 3, then let the others in with `streamctl quorum add`."
        )
    if present and count > max(present):
        new = ", ".join(str(number) for number in range(max(present) + 1, count + 1))
        note(f"Of the coordinators, {new} will have no vote until `streamctl quorum add` lets them in.")


async def run_detached(invocation: Invocation, supervisor: Supervisor, store: ClusterStore) -> None:
    """Start, say so, leave it running."""
    is_new = not store.coordinators()
    await _start(supervisor, store)
    _announce(invocation, supervisor, is_new=is_new)
    is_the_only_one = known_bootstrap() is not None
    where = "" if is_the_only_one else data_dir_option(store.data_dir)
    note(f"End it with {typed(f'dev stop{where}')}.")


async def run_attached(invocation: Invocation, supervisor: Supervisor, store: ClusterStore) -> None:
    """Start, say so, stay until Ctrl-C or until every process has ended."""
    is_new = not store.coordinators()
    await _start(supervisor, store)
    statuses: list[int | None] = []

    def report(record: ProcessRecord, status: int | None) -> None:
        statuses.append(status)
        _report_end(record, status)

    try:
        _announce(invocation, supervisor, is_new=is_new)
        note("Ctrl-C ends it.")
        await supervisor.watch(report)
    except asyncio.CancelledError:
        note("Stopping.")
        report_killed(await supervisor.stop())
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


def _announce(invocation: Invocation, supervisor: Supervisor, *, is_new: bool) -> None:
    emit_processes(invocation, [(record, state_of(record)) for record in supervisor.records])
    bootstrap = ",".join(supervisor.coordinators)
    is_found = bootstrap == known_bootstrap() or supervisor.coordinators[0] in DEFAULT_BOOTSTRAP.split(",")
    where = "" if is_found else f" --bootstrap {bootstrap}"
    words = "topic create flights" if is_new else "topic list"
    note(f"The cluster is ready. Try {typed(words + where)}.")


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


def report_killed(killed: Sequence[ProcessRecord]) -> None:
    """Name those that did not end when they were told to."""
    for record in killed:
        note(f"{record.name} (pid {record.pid}) did not stop in time and was killed; its log is {record.log}")


def show_status(invocation: Invocation, stores: Sequence[ClusterStore]) -> None:
    """Show all processes; raises CommandError (NOT_FOUND, UNHEALTHY) unless all run."""
    found = [(record, state_of(record)) for store in stores for record in store.read()]
    emit_processes(invocation, found)
    if not found:
        raise CommandError("; ".join(map(_none_runs, stores)), ExitCode.NOT_FOUND)
    ill = [(record, state) for record, state in found if state is not ProcessState.RUNNING]
    if ill:
        said = ", ".join(f"{record.name} is {state.value}" for record, state in ill)
        raise CommandError(f"{said}. {_remedy(*ill[0])}; its log is {ill[0][0].log}", ExitCode.UNHEALTHY)


def _none_runs(store: ClusterStore) -> str:
    start = typed(f"dev{data_dir_option(store.data_dir)}")
    if store.coordinators():
        return f"no cluster runs in {store.data_dir}; its data are there, {start} starts it again"
    return f"no cluster was started in {store.data_dir}: {start} starts one"


def _remedy(record: ProcessRecord, state: ProcessState) -> str:
    if state is ProcessState.PAUSED:
        return f"`kill -CONT {record.pid}` wakes {record.name}"
    return f"`streamctl dev start-process {record.name}` starts it again"


def process_fields(record: ProcessRecord, state: ProcessState) -> dict[str, object]:
    """One process as JSON has it."""
    return {
        "role": record.role,
        "id": record.id,
        "pid": record.pid or None,
        "address": record.address,
        "data_dir": record.data_dir,
        "state": state.value,
    }


def emit_processes(invocation: Invocation, found: Sequence[tuple[ProcessRecord, ProcessState]]) -> None:
    """The processes as a table, or as a list of objects."""
    rows = [(r.role, r.id, r.pid or None, r.address, state.value, r.data_dir) for r, state in found]
    emit(invocation, [process_fields(*pair) for pair in found], Table(COLUMNS, rows))


async def stop(invocation: Invocation, stores: Sequence[ClusterStore]) -> None:
    """End the cluster that runs, and forget those that have died. Nothing to end is no failure."""
    store = running_store(invocation, stores)
    for other in stores:
        if not is_running(other):
            other.forget()
    if store is None:
        note("No cluster is running.")
        ended = []
    else:
        with store.locked():
            ended = store.read()
            report_killed(await stop_processes(ended))
            store.forget()
        note(f"Ended {len(ended)} processes. The data stay in {store.data_dir}.")
    if invocation.is_data:
        emit_processes(invocation, [(record, state_of(record)) for record in ended])
