"""Starts that cannot do all they should: on a full disk, and when nobody hears how the last life ended."""

from __future__ import annotations

import asyncio
import errno

import pytest

from streamkeep_common.errors import StorageFailedError
from tests.sim.simulation import Simulation
from tests.unit.broker.log_manager.host import TOPIC_ID, Host, acknowledge, append, create, read_all
from tests.unit.broker.log_manager.simulated import simulated

CLUSTER = ("cluster", 1)


@simulated
async def test_a_log_that_a_full_disk_keeps_closed_is_opened_when_there_is_room_and_loses_nothing(
    sim: Simulation,
) -> None:
    host = Host(sim)
    first = await host.start()
    log = create(first)
    await acknowledge(first, log, b"acknowledged")
    await first.checkpoint()
    append(first, log, b"on its way")
    content = host.disk.peek(log.segments[0].path, 0, log.segments[0].size)
    host.disk.remove_file(log.path / "leader-epochs")
    host.die()

    host.disk.fail("write", error=errno.ENOSPC, under=log.path)
    manager = await host.start()
    assert manager.get(TOPIC_ID, 0) is None
    with pytest.raises(StorageFailedError, match="cannot be opened yet"):
        create(manager)
    await asyncio.sleep(3)
    await manager.checkpoint()
    assert manager.get(TOPIC_ID, 0) is None
    host.changes.clear()

    host.disk.heal()
    await asyncio.sleep(3)
    again = manager.get(TOPIC_ID, 0)
    assert again is not None
    assert again.high_watermark == 1, "its checkpoint was kept meanwhile"
    assert await read_all(again) == content
    assert manager.directories[0] in host.changes, "what could not be hosted is tried again"
    await manager.stop()


@simulated
async def test_a_log_kept_closed_does_not_keep_others_from_being_opened(sim: Simulation) -> None:
    host = Host(sim)
    first = await host.start()
    closed, good = create(first, 0), create(first, 1)
    for log in (closed, good):
        await acknowledge(first, log, b"acknowledged")
    host.disk.remove_file(closed.path / "leader-epochs")
    host.die()
    host.disk.fail("write", error=errno.ENOSPC, under=closed.path)
    manager = await host.start()
    assert [log.partition for log in manager] == [1]
    await manager.stop()
    later = await host.start()
    assert not later.clean_start, "what is closed was not left clean"
    await later.stop()


@simulated
async def test_a_clean_stop_does_not_hide_a_power_cut_that_no_coordinator_has_heard_of(
    sim: Simulation,
) -> None:
    host = Host(sim)
    await host.start()
    host.die(power_cut=True)
    unheard = await host.start()
    assert not unheard.clean_start
    await unheard.stop()
    heard = await host.start()
    assert not heard.clean_start
    await heard.bind_cluster(*CLUSTER)
    await heard.stop()
    last = await host.start()
    assert last.clean_start
    await last.stop()
