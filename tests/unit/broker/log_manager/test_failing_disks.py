"""Disks that break or stall: what goes offline with them, what goes on, and what a start does about it."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_common.errors import DiskStalledError, StorageFailedError
from streamkeep_proto.v1 import broker_pb2
from tests.sim.simulation import Simulation
from tests.unit.broker.log_manager.host import (
    DISK1,
    ONE,
    TWO,
    Host,
    acknowledge,
    append,
    create,
    until_flushed,
)
from tests.unit.broker.simulated import simulated


async def die_with_a_log_on_each_disk(host: Host) -> PartitionLog:
    """Partition 0 is on the first disk, 1 on the second; returns what the first was."""
    manager = await host.start()
    logs = [create(manager, number, directory=number) for number in (0, 1)]
    for log in logs:
        await acknowledge(manager, log, b"x")
    host.die()
    return logs[0]


@simulated
async def test_a_failed_flush_takes_its_directory_offline_and_nothing_that_waits_is_acknowledged(
    sim: Simulation,
) -> None:
    host = Host(sim, directories=(ONE, TWO))
    manager = await host.start()
    bad, good = create(manager, 0, directory=0), create(manager, 1, directory=1)
    await acknowledge(manager, bad, b"acknowledged")
    heard: list[str] = []
    bad.on_progress = lambda: heard.append("progress")
    append(manager, bad, b"waits")
    host.disk.fail("sync", under=DISK1)
    await asyncio.sleep(1)
    host.disk.heal()
    await asyncio.sleep(10)
    assert bad.flushed_end_offset == 1
    assert heard == []
    assert [one.state for one in manager.directories] == [broker_pb2.OFFLINE, broker_pb2.ONLINE]
    assert "/disk1/logs failed: Input/output error" in manager.directories[0].reason
    assert host.changes == [manager.directories[0]]
    with pytest.raises(StorageFailedError):
        append(manager, bad, b"more")
    with pytest.raises(StorageFailedError):
        create(manager, 7, directory=0)
    await acknowledge(manager, good, b"the other disk goes on")
    await manager.stop()


@simulated
async def test_all_directories_of_a_file_system_whose_flush_failed_go_offline(sim: Simulation) -> None:
    host = Host(sim, directories=(ONE, DISK1 / "more"))
    manager = await host.start()
    host.disk.fail("sync", under=ONE)
    append(manager, create(manager, directory=0), b"x")
    await asyncio.sleep(1)
    assert [one.state for one in manager.directories] == [broker_pb2.OFFLINE] * 2
    await manager.stop()


@simulated
async def test_a_failed_write_takes_the_directory_offline(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = create(manager)
    await acknowledge(manager, log, b"x")
    host.disk.fail("write", under=ONE)
    with pytest.raises(StorageFailedError, match="A write to /disk1/logs failed"):
        append(manager, log, b"y")
    host.disk.heal()
    with pytest.raises(StorageFailedError):
        append(manager, log, b"z")
    await manager.stop()
    manager = await host.start()
    assert not manager.clean_start
    assert next(iter(manager)).log_end_offset == 1
    await manager.stop()


@simulated
async def test_a_disk_that_breaks_before_its_cluster_is_known_leaves_the_others_in_use(
    sim: Simulation,
) -> None:
    host = Host(sim, directories=(ONE, TWO))
    manager = await host.start()
    host.disk.fail("write", under=DISK1)
    await manager.bind_cluster("c", 1)
    assert [one.state for one in manager.directories] == [broker_pb2.OFFLINE, broker_pb2.ONLINE]
    await acknowledge(manager, create(manager, directory=1), b"x")
    await manager.stop()


@simulated
async def test_a_stalled_disk_refuses_appends_until_its_flush_is_done(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start(disk_stall_ms=2000)
    log = create(manager)
    await acknowledge(manager, log, b"x")
    host.machine.workers.stall()
    append(manager, log, b"y")
    await asyncio.sleep(1.9)
    assert manager.directories[0].state == broker_pb2.ONLINE
    await asyncio.sleep(0.2)
    assert manager.directories[0].state == broker_pb2.STALLED
    with pytest.raises(DiskStalledError, match="more than 2000 ms"):
        append(manager, log, b"z")
    assert log.flushed_end_offset == 1
    host.machine.workers.resume()
    await until_flushed(log)
    assert manager.directories[0].state == broker_pb2.ONLINE
    await acknowledge(manager, log, b"z")
    await manager.stop()


@simulated
async def test_a_disk_that_is_broken_at_the_start_leaves_the_others_in_use(sim: Simulation) -> None:
    host = Host(sim, directories=(ONE, TWO))
    await die_with_a_log_on_each_disk(host)
    host.disk.fail("read", under=DISK1)
    manager = await host.start()
    assert [one.state for one in manager.directories] == [broker_pb2.OFFLINE, broker_pb2.ONLINE]
    assert [log.partition for log in manager] == [1]
    await manager.stop()


@simulated
async def test_a_log_that_cannot_be_read_at_the_start_takes_its_directory_offline(sim: Simulation) -> None:
    host = Host(sim, directories=(ONE, TWO))
    first = await die_with_a_log_on_each_disk(host)
    host.disk.fail("read", under=first.path)
    manager = await host.start()
    assert [one.state for one in manager.directories] == [broker_pb2.OFFLINE, broker_pb2.ONLINE]
    assert [log.partition for log in manager] == [1]
    await manager.stop()


@simulated
async def test_without_any_disk_that_works_the_start_says_why(sim: Simulation) -> None:
    host = Host(sim)
    await (await host.start()).stop()
    host.disk.fail("read", under=DISK1)
    with pytest.raises(StorageFailedError, match="Claiming /disk1/logs failed: Input/output error"):
        await host.start()


@simulated
async def test_without_any_disk_that_takes_the_first_flush_the_start_fails_too(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    append(manager, create(manager), b"x")
    host.die()
    host.disk.fail("sync", under=ONE / "t-0.0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a")
    with pytest.raises(StorageFailedError, match="/disk1/logs failed"):
        await host.start()
    host.disk.heal()
    await (await host.start()).stop()


@simulated
async def test_a_failed_checkpoint_takes_the_directory_offline(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start(checkpoint_ms=1000)
    await acknowledge(manager, create(manager), b"x")
    host.disk.fail("sync", under=ONE / "checkpoint.tmp")
    await asyncio.sleep(2)
    assert manager.directories[0].state == broker_pb2.OFFLINE
    await manager.stop()
