"""`dev start-process` and `dev stop-process`: one process of a cluster, the others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from streamctl.dev.choice import remembered_store
from streamctl.dev.cluster_file import NOT_LIVING, ProcessRecord
from streamctl.dev.ending import stop_processes
from streamctl.dev.launch import START_TIMEOUT_S, launch, readiness
from streamctl.dev.processes import state_of
from streamctl.dev.shell import process_fields, report_killed
from streamctl.dev.store import ClusterStore
from streamctl.failures import CommandError, ExitCode
from streamctl.invocation import Invocation
from streamctl.output import emit, note


async def start_process(
    invocation: Invocation, stores: Sequence[ClusterStore], role: str, number: int
) -> None:
    """Start it with the options of its last start, and wait until it is ready."""
    store = _cluster(invocation, stores)
    with store.locked():
        record = _known(store, role, number)
        state = state_of(record)
        if state not in NOT_LIVING:
            raise CommandError(f"{record.name} is {state.value} already, as pid {record.pid}")
        if not record.arguments:
            raise CommandError(
                f"{record.name} was started by an earlier version, which did not write down how: end the"
                " cluster with `streamctl dev stop` and start it again"
            )
        started = await _started(store, record)
    _show(invocation, started, f"{started.name} is ready, as pid {started.pid}; its log is {started.log}")


async def _started(store: ClusterStore, record: ProcessRecord) -> ProcessRecord:
    launched = launch(record)
    store.replace(launched.record)
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await readiness(launched)
    except BaseException as error:
        await stop_processes([launched.record])
        store.replace(record.stopped())
        if isinstance(error, TimeoutError):
            reason = f"{record.name} was not ready within {START_TIMEOUT_S:.0f} s; its log is {record.log}"
            raise CommandError(reason, ExitCode.UNAVAILABLE) from None
        raise
    return launched.record


async def stop_process(
    invocation: Invocation, stores: Sequence[ClusterStore], role: str, number: int
) -> None:
    """Tell it to end, and wait until it has."""
    store = _cluster(invocation, stores)
    with store.locked():
        record = _known(store, role, number)
        state = state_of(record)
        if state in NOT_LIVING:
            raise CommandError(f"{record.name} is {state.value} already")
        report_killed(await stop_processes([record]))
        stopped = record.stopped()
        store.replace(stopped)
    _show(
        invocation,
        stopped,
        f"{record.name} has ended. `streamctl dev start-process {record.name}` starts it.",
    )


def _cluster(invocation: Invocation, stores: Sequence[ClusterStore]) -> ClusterStore:
    store = remembered_store(invocation, stores)
    if store is None:
        directories = ", ".join(str(store.data_dir) for store in stores)
        raise CommandError(
            f"no cluster was started in {directories}: `streamctl dev --detach` starts one",
            ExitCode.NOT_FOUND,
        )
    return store


def _known(store: ClusterStore, role: str, number: int) -> ProcessRecord:
    records = [record for record in store.read() if record.role == role]
    for record in records:
        if record.id == number:
            return record
    ids = ", ".join(str(record.id) for record in records)
    raise CommandError(f"the cluster has no {role} {number}; it has {ids}", ExitCode.NOT_FOUND)


def _show(invocation: Invocation, record: ProcessRecord, sentence: str) -> None:
    note(sentence)
    if invocation.is_data:
        emit(invocation, process_fields(record, state_of(record)))
