"""What a broker's logs and directories promise through starts, stops and crashes."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep_broker.log.identity import DirectoryRefusedError
from streamkeep_common.errors import ClusterMismatchError, StorageFailedError
from streamkeep_common.settings import TopicSettings
from tests.sim.simulation import Simulation
from tests.unit.broker.log_manager.host import (
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
from tests.unit.broker.simulated import simulated


@simulated
async def test_what_was_acknowledged_is_there_after_a_clean_stop_and_nothing_is_scanned(
    sim: Simulation,
) -> None:
    host = Host(sim)
    manager = await host.start()
    log = create(manager)
    await acknowledge(manager, log, b"one", b"two")
    written = await read_all(log)
    await manager.stop()
    manager = await host.start()
    assert manager.clean_start
    log = next(iter(manager))
    assert (log.topic, log.partition, log.topic_id) == ("t", 0, TOPIC_ID)
    assert (log.log_end_offset, log.flushed_end_offset, log.high_watermark) == (2, 2, 2)
    assert await read_all(log) == written
    await manager.stop()


@simulated
async def test_what_was_acknowledged_survives_a_power_cut(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = create(manager)
    await acknowledge(manager, log, b"one")
    written = await read_all(log)
    append(manager, log, b"never acknowledged")
    host.die(power_cut=True)
    manager = await host.start()
    assert not manager.clean_start
    log = next(iter(manager))
    assert (await read_all(log))[: len(written)] == written
    await manager.stop()


@simulated
async def test_what_a_killed_process_left_in_the_page_cache_is_on_disk_before_the_next_one_serves(
    sim: Simulation,
) -> None:
    host = Host(sim)
    manager = await host.start()
    log = create(manager)
    append(manager, log, b"not flushed")
    host.die()
    manager = await host.start()
    log = next(iter(manager))
    assert log.flushed_end_offset == log.log_end_offset == 1
    host.die(power_cut=True)
    manager = await host.start()
    assert next(iter(manager)).log_end_offset == 1
    await manager.stop()


@simulated
async def test_a_thousand_partitions_are_created_without_a_sync_and_flushed_with_one(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start(max_open_files=16)
    before = host.disk.file_syncs, host.disk.directory_syncs, host.disk.file_system_syncs
    logs = [create(manager, number) for number in range(1000)]
    assert (host.disk.file_syncs, host.disk.directory_syncs, host.disk.file_system_syncs) == before
    assert host.disk.open_files == 0
    for log in logs:
        append(manager, log, b"x")
    await until_flushed(logs[-1])
    assert [log.flushed_end_offset for log in logs] == [1] * 1000
    assert host.disk.file_syncs == before[0]
    assert host.disk.file_system_syncs == before[2] + 1
    assert host.disk.open_files <= 16
    host.die(power_cut=True)
    manager = await host.start()
    assert [log.log_end_offset for log in manager] == [1] * 1000
    assert host.disk.open_files == 0, "idle partitions need no descriptors"
    await manager.stop()


@simulated
async def test_the_first_record_of_a_new_partition_is_durable_with_its_names(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    await acknowledge(manager, create(manager), b"x")
    host.die(power_cut=True)
    manager = await host.start()
    assert manager.get(TOPIC_ID, 0) is not None
    await manager.stop()


@simulated
async def test_a_second_broker_on_the_directory_is_refused_and_the_first_goes_on(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    with pytest.raises(DirectoryRefusedError, match="in use by another process"):
        await host.manager().start()
    await acknowledge(manager, create(manager), b"x")
    await manager.stop()


@simulated
async def test_another_brokers_directory_is_refused_and_none_stays_locked(sim: Simulation) -> None:
    await (manager := await Host(sim).start()).stop()
    host = Host(sim, directories=(ONE, TWO))
    manager = await host.start()
    await manager.stop()
    with pytest.raises(DirectoryRefusedError, match="belongs to broker 1, and this is broker 2"):
        await host.start(id=2)
    manager = await host.start()
    await manager.stop()


@simulated
async def test_directories_are_bound_to_one_cluster_for_ever(sim: Simulation) -> None:
    host = Host(sim, directories=(ONE, TWO))
    manager = await host.start()
    assert manager.cluster_id is None
    await manager.bind_cluster("alpha", 1)
    await manager.stop()
    manager = await host.start()
    assert manager.cluster_id == "alpha"
    with pytest.raises(ClusterMismatchError):
        await manager.bind_cluster("beta", 1)
    await manager.stop()


@simulated
async def test_directories_of_two_clusters_are_refused(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    await manager.bind_cluster("alpha", 1)
    await manager.stop()
    other = Host(sim, directories=(TWO,))
    other.disk = host.disk
    manager = await other.start()
    await manager.bind_cluster("beta", 1)
    await manager.stop()
    both = Host(sim, directories=(ONE, TWO))
    both.disk = host.disk
    with pytest.raises(DirectoryRefusedError, match="belong to different clusters"):
        await both.start()
    manager = await host.start()
    await manager.stop()


@simulated
async def test_log_starts_and_high_watermarks_are_remembered(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start(checkpoint_ms=1000)
    log = create(manager)
    await acknowledge(manager, log, b"a", b"b", b"c")
    log.delete_records(2)
    await asyncio.sleep(2)
    append(manager, log, b"d")
    host.die()
    manager = await host.start()
    log = next(iter(manager))
    assert (log.log_start_offset, log.high_watermark, log.log_end_offset) == (2, 3, 4)
    await manager.stop()


@simulated
async def test_a_damaged_checkpoint_costs_a_scan_and_no_record(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    await acknowledge(manager, create(manager), b"a", b"b")
    await manager.stop()
    host.disk.flip_bit(ONE / "checkpoint", 5, 1)
    manager = await host.start()
    assert next(iter(manager)).log_end_offset == 2
    await manager.stop()


@simulated
async def test_a_stop_ends_in_time_although_the_disk_hangs_and_is_not_clean(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    append(manager, create(manager), b"x")
    host.machine.workers.stall()
    async with asyncio.timeout(2):
        await manager.stop()
    host.die()
    manager = await host.start()
    assert not manager.clean_start
    assert next(iter(manager)).log_end_offset == 1
    await manager.stop()


@simulated
async def test_a_start_that_is_cancelled_leaves_nothing_marked_clean(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    for number in range(20):
        append(manager, create(manager, number), b"x")
    host.die()
    cancelled = 0
    while True:
        start = asyncio.ensure_future(host.start())
        await asyncio.sleep(0.0003 * (cancelled + 1))
        if start.done():
            break
        start.cancel()
        await asyncio.wait([start])
        cancelled += 1
    manager = await start
    assert cancelled > 3
    assert not manager.clean_start
    assert [log.log_end_offset for log in manager] == [1] * 20
    await manager.stop()


@simulated
async def test_a_log_that_is_acknowledged_unflushed_is_flushed_within_the_checkpoint_interval(
    sim: Simulation,
) -> None:
    host = Host(sim)
    manager = await host.start(checkpoint_ms=1000)
    log = create(manager, durability="os")
    append(manager, log, b"x")
    await asyncio.sleep(0.5)
    assert (log.acknowledged_end, log.flushed_end_offset) == (1, 0)
    await asyncio.sleep(1)
    assert log.flushed_end_offset == 1
    await manager.stop()


@simulated
async def test_strange_directories_are_left_alone(sim: Simulation) -> None:
    host = Host(sim)
    await (await host.start()).stop()
    host.disk.make_directories(ONE / "holiday-photos")
    manager = await host.start()
    assert len(manager) == 0
    await manager.stop()
    assert host.disk.exists(ONE / "holiday-photos")


@simulated
async def test_a_directory_that_this_broker_does_not_have_cannot_be_given_a_log(sim: Simulation) -> None:
    manager = await Host(sim).start()
    with pytest.raises(StorageFailedError, match="no log directory"):
        manager.create(TOPIC_ID, "t", 0, b"?" * 16, TopicSettings.of())
    await manager.stop()
