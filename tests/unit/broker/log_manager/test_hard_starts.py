"""Starts that cannot do all they should: on a full disk, and when nobody hears how the last life ended."""

from __future__ import annotations

import asyncio
import errno

import pytest

from streamkeep_common.errors import StorageFailedError
from tests.sim.simulation import Simulation
from tests.unit.broker.log_manager.host import TOPIC_ID, Host, acknowledge, append, create, read_all
from tests.unit.broker.simulated import simulated

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


@simulated
async def test_what_was_acknowledged_since_the_checkpoint_and_is_wrong_now_is_not_taken_for_torn(
    sim: Simulation,
) -> None:
    """Once cut it could lead, and all copies of the record would follow."""
    host = Host(sim)
    manager = await host.start()
    log = create(manager)
    await acknowledge(manager, log, b"acknowledged")
    host.die()
    host.disk.flip_bit(log.segments[0].path, log.segments[0].size - 1, 3)
    (damaged,) = await host.start()
    assert damaged.defects


@simulated
async def test_a_start_after_a_power_cut_that_is_killed_leaves_what_is_torn_to_the_next_one(
    sim: Simulation,
) -> None:
    host = Host(sim)
    manager = await host.start()
    log = create(manager)
    await acknowledge(manager, log, b"acknowledged")
    await manager.checkpoint()
    path, whole = log.segments[0].path, log.segments[0].size
    append(manager, log, b"on its way")
    size = log.segments[0].size
    host.die(power_cut=True)
    torn = host.disk.open(path)
    torn.truncate(whole)
    torn.append([bytes(size - whole)])
    host.disk.fail("read", under=path)
    with pytest.raises(StorageFailedError):
        await host.start()
    host.die()
    host.disk.heal()
    (again,) = await host.start()
    assert (again.defects, again.log_end_offset) == ([], 1)


@simulated
async def test_what_is_wrong_behind_a_cut_is_not_taken_for_torn(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = create(manager)
    for value in (b"kept", b"kept, too", b"cut"):
        await acknowledge(manager, log, value)
    host.disk.flip_bit(log.segments[0].path, log.segments[0].size // 3 * 2 - 1, 3)
    await manager.truncate(log, 2)
    assert log.defects
