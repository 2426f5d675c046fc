"""Full disks: what is refused, what makes room, and what is not lost meanwhile."""

from __future__ import annotations

import asyncio
import errno

import pytest

from streamkeep_common.errors import DiskFullError
from streamkeep_common.settings import TopicSettings
from streamkeep_proto.v1 import broker_pb2
from tests.sim.simulation import Simulation, run_simulation
from tests.unit.broker.log_manager.host import (
    DISK1,
    MIB,
    TOPIC_ID,
    Host,
    acknowledge,
    append,
    create,
    read_all,
)
from tests.unit.broker.simulated import simulated


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
    stranger = host.disk.open(DISK1 / "stranger", create=True)
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
