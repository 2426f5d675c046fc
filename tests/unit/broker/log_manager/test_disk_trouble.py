"""Broken, full and stalled disks: what is refused, what goes on, and how it ends."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from streamkeep_common.errors import DiskFullError, DiskStalledError, StorageFailedError
from streamkeep_common.settings import TopicSettings
from streamkeep_proto.v1 import broker_pb2
from tests.sim.simulation import Simulation, run_simulation
from tests.unit.broker.log_manager.host import (
    MIB,
    ONE,
    TOPIC_ID,
    TWO,
    Host,
    acknowledge,
    append,
    create,
    read_all,
    until_flushed,
)
from tests.unit.broker.log_manager.simulated import simulated

DISK1 = Path("/disk1")


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
    host = Host(sim, directories=(ONE, Path("/disk1/more")))
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
async def test_a_process_out_of_descriptors_does_not_blame_the_disk(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log, other = create(manager), create(manager, 1)
    host.disk.max_open_files = 0
    with pytest.raises(StorageFailedError, match="Too many open files"):
        append(manager, other, b"x")
    assert manager.directories[0].state == broker_pb2.ONLINE
    host.disk.max_open_files = 1
    for _ in range(10):
        await acknowledge(manager, log, b"x")
    await manager.stop()


@simulated
async def test_more_partitions_than_descriptors_can_be_written_at_once(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start(max_open_files=1000)
    logs = [create(manager, number) for number in range(100)]
    host.disk.max_open_files = 20
    for _ in range(3):
        for log in logs:
            append(manager, log, b"x")
        for log in logs:
            await until_flushed(log)
    assert manager.directories[0].state == broker_pb2.ONLINE
    host.die(power_cut=True)
    manager = await host.start()
    assert [log.log_end_offset for log in manager] == [3] * 100
    await manager.stop()


@simulated
async def test_a_full_disk_refuses_appends_and_serves_what_was_acknowledged(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = create(manager)
    await acknowledge(manager, log, b"x" * 1000)
    written = await read_all(log)
    host.disk.set_capacity(host.disk.used(DISK1) + 500, mount=DISK1)
    with pytest.raises(DiskFullError, match="no space left"):
        append(manager, log, b"y" * 1000)
    assert manager.directories[0].state == broker_pb2.READ_ONLY
    assert await read_all(log) == written
    assert log.log_end_offset == 1
    host.disk.set_capacity(64 * MIB, mount=DISK1)
    await asyncio.sleep(3)
    assert manager.directories[0].state == broker_pb2.ONLINE
    await acknowledge(manager, log, b"z")
    assert (await read_all(log)).startswith(written)
    await manager.stop()


@simulated
async def test_on_a_full_disk_retention_frees_space_at_once_and_writing_resumes_by_itself(
    sim: Simulation,
) -> None:
    host = Host(sim)
    manager = await host.start(min_free_bytes=200_000)
    log = create(manager, segment_bytes=65536, retention_bytes=65536)
    host.disk.set_capacity(host.disk.used(DISK1) + 600_000, mount=DISK1)
    with pytest.raises(DiskFullError):
        for _ in range(1000):
            await acknowledge(manager, log, b"x" * 10_000)
    end = log.log_end_offset
    assert end > 20
    await asyncio.sleep(5)
    assert manager.directories[0].state == broker_pb2.ONLINE
    assert log.log_start_offset > 0
    await acknowledge(manager, log, b"more")
    assert log.log_end_offset == end + 1
    await manager.stop()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_too_full_for_a_new_segment_is_not_taken_for_a_broken_one(number: int) -> None:
    async def scenario(sim: Simulation) -> None:
        host = Host(sim)
        manager = await host.start()
        log = create(manager, segment_bytes=4096)
        await acknowledge(manager, log, bytes(4000))
        host.disk.fail("write", error=number, under=log.path)
        with pytest.raises(DiskFullError):
            append(manager, log, bytes(4000))
        await asyncio.sleep(10)  # the upkeep flushes what it finds unflushed
        assert not manager.directories[0].is_offline
        host.disk.heal()
        await asyncio.sleep(2)
        await acknowledge(manager, log, bytes(4000))
        await manager.stop()

    run_simulation(1, scenario)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_retention_that_finds_no_room_for_a_new_segment_frees_the_older_ones(number: int) -> None:
    async def scenario(sim: Simulation) -> None:
        host = Host(sim)
        manager = await host.start(retention_check_ms=1000)
        log = create(manager, segment_bytes=4096, retention_ms=1)
        for _ in range(3):
            await acknowledge(manager, log, bytes(4000))
            await asyncio.sleep(0.1)
        host.disk.fail("write", error=number, under=log.path)
        await asyncio.sleep(10)
        host.disk.heal()
        assert log.log_start_offset == 2
        assert not manager.directories[0].is_offline
        await acknowledge(manager, log, b"x")
        await manager.stop()

    run_simulation(1, scenario)


@pytest.mark.parametrize("seed", range(8))
def test_on_a_full_disk_nothing_is_removed_before_what_takes_its_place_is_durable(seed: int) -> None:
    async def scenario(sim: Simulation) -> None:
        host = Host(sim)
        manager = await host.start()
        log = create(manager, retention_ms=1)
        await acknowledge(manager, log, bytes(4000))
        await manager.checkpoint()
        host.disk.set_capacity(host.disk.used(DISK1) + 3000, mount=DISK1)
        with pytest.raises(DiskFullError):
            append(manager, log, bytes(4000))
        first = log.segments[0].path
        while host.disk.exists(first):
            await asyncio.sleep(1e-4)
        host.die(power_cut=True)
        host.disk.set_capacity(64 * MIB, mount=DISK1)
        (log,) = await host.start()
        assert (log.log_start_offset, log.log_end_offset, log.defects) == (1, 1, [])
        assert len(log.producers) == 1, "a batch that is sent again would not be known"

    run_simulation(seed, scenario)


@pytest.mark.parametrize("seed", range(8))
def test_what_retention_gave_up_while_the_disk_was_full_is_not_missed_after_a_power_cut(seed: int) -> None:
    async def scenario(sim: Simulation) -> None:
        host = Host(sim)
        manager = await host.start(retention_check_ms=1000)
        log = create(manager, segment_bytes=4096)
        for _ in range(3):
            await acknowledge(manager, log, bytes(4000))
            await asyncio.sleep(0.1)
        await manager.checkpoint()
        log.settings = TopicSettings.of({"retention_ms": "1"})
        host.disk.fail("write", error=errno.ENOSPC, under=log.path.parent / "checkpoint")
        second = log.segments[1].path
        while host.disk.exists(second):
            await asyncio.sleep(1e-4)
        host.die(power_cut=True)
        host.disk.heal()
        (log,) = await host.start()
        assert log.defects == []
        assert log.log_start_offset > 0

    run_simulation(seed, scenario)


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
async def test_a_log_that_cannot_be_tidied_up_does_not_keep_the_others_from_it(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start(retention_check_ms=1000)
    bad, good = (create(manager, number, segment_bytes=4096) for number in (0, 1))
    for log in (bad, good):
        for _ in range(3):
            await acknowledge(manager, log, bytes(4000))
            await asyncio.sleep(0.1)
        log.settings = TopicSettings.of({"retention_ms": "1"})
    host.disk.fail("write", error=errno.EMFILE, under=bad.path)
    await asyncio.sleep(2)
    assert good.log_start_offset == 3
    assert not manager.directories[0].is_offline
    host.disk.heal()
    await asyncio.sleep(2)
    assert bad.log_start_offset == 3
    await manager.stop()


@simulated
async def test_on_a_full_disk_a_deleted_topic_frees_space_at_once(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start(min_free_bytes=100_000)
    log, other = create(manager), create(manager, 1)
    host.disk.set_capacity(host.disk.used(DISK1) + 1_000_000, mount=DISK1)
    with pytest.raises(DiskFullError):
        for _ in range(1000):
            await acknowledge(manager, log, b"x" * 10_000)
    manager.delete(TOPIC_ID, 0)
    await asyncio.sleep(3)
    await acknowledge(manager, other, b"x")
    await manager.stop()


@simulated
async def test_a_disk_that_others_fill_becomes_read_only_before_it_is_full(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start(min_free_bytes=1 * MIB)
    log = create(manager)
    stranger = host.disk.open(Path("/disk1/stranger"), create=True)
    stranger.append([bytes(64 * MIB - host.disk.used(DISK1) - MIB // 2)])
    await asyncio.sleep(2)
    with pytest.raises(DiskFullError, match="keeps 1048576 free"):
        append(manager, log, b"x")
    stranger.truncate(0)
    await asyncio.sleep(2)
    await acknowledge(manager, log, b"x")
    await manager.stop()


@simulated
async def test_a_full_disk_at_the_start_is_served_read_only(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    await acknowledge(manager, create(manager), b"x")
    host.die()
    host.disk.set_capacity(host.disk.used(DISK1), mount=DISK1)
    manager = await host.start(min_free_bytes=1000)
    log = next(iter(manager))
    assert manager.directories[0].state == broker_pb2.READ_ONLY
    assert len(await read_all(log)) > 100
    with pytest.raises(DiskFullError):
        append(manager, log, b"x")
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
    manager = await host.start()
    first, second = create(manager, 0, directory=0), create(manager, 1, directory=1)
    await acknowledge(manager, first, b"x")
    await acknowledge(manager, second, b"y")
    host.die()
    host.disk.fail("read", under=DISK1)
    manager = await host.start()
    assert [one.state for one in manager.directories] == [broker_pb2.OFFLINE, broker_pb2.ONLINE]
    assert [log.partition for log in manager] == [1]
    await manager.stop()


@simulated
async def test_a_log_that_cannot_be_read_at_the_start_takes_its_directory_offline(sim: Simulation) -> None:
    host = Host(sim, directories=(ONE, TWO))
    manager = await host.start()
    first, second = create(manager, 0, directory=0), create(manager, 1, directory=1)
    await acknowledge(manager, first, b"x")
    await acknowledge(manager, second, b"y")
    host.die()
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
