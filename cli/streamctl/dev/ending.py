"""How processes of a cluster are ended: told first, killed if they do not listen."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable

from streamctl.dev import processes
from streamctl.dev.cluster_file import ProcessRecord
from streamctl.dev.plan import BROKER, COORDINATOR

STOP_GRACE_S = 5.0
KILL_WAIT_S = 5.0


async def stop_processes(records: Iterable[ProcessRecord]) -> list[ProcessRecord]:
    """End these and wait for it: brokers before coordinators, because they say goodbye to them.

    SIGTERM first; what has not ended after STOP_GRACE_S is killed and returned.
    """
    records = [record for record in records if record.pid]
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
