"""What a broker's logs and directories promise through starts, stops, crashes and deletions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from streamkeep_broker.log.identity import DirectoryRefusedError
from streamkeep_common.errors import ClusterMismatchError, StorageFailedError
from streamkeep_common.settings import TopicSettings
from streamkeep_proto.v1 import broker_pb2
from tests.sim.simulation import Simulation, run_simulation
from tests.unit.broker.log_manager.hand_worker import passes
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

Scenario = Callable[[Simulation], Coroutine[Any, Any, None]]


def simulated(scenario: Scenario) -> Callable[[], None]:
    """Run a test in virtual time on simulated disks."""

    def run() -> None:
        run_simulation(1, scenario)

    run.__doc__ = scenario.__doc__
    return run


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
async def test_a_deleted_partition_is_gone_at_once_and_from_disk_later(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = create(manager)
    await acknowledge(manager, log, b"x")
    append(manager, log, b"in flight")
    manager.delete(TOPIC_ID, 0)
    assert manager.get(TOPIC_ID, 0) is None
    assert len(manager) == 0
    assert not host.disk.exists(log.path)
    assert any(name.endswith(".deleted") for name in host.disk.list_directory(ONE))
    await asyncio.sleep(70)
    assert not any(name.endswith(".deleted") for name in host.disk.list_directory(ONE))
    assert host.disk.open_files == 0
    assert manager.directories[0].state == broker_pb2.ONLINE
    await manager.stop()


@simulated
async def test_a_partition_deleted_during_its_first_flush_leaves_the_disk_in_use(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    for _ in range(10):  # whose flush has looked at the directory already, or not yet
        append(manager, create(manager), b"its names are not durable")
        await asyncio.sleep(5e-6)
        manager.delete(TOPIC_ID, 0)
        await asyncio.sleep(0.01)
    assert manager.directories[0].state == broker_pb2.ONLINE
    assert len([name for name in host.disk.list_directory(ONE) if name.endswith(".deleted")]) == 10
    await acknowledge(manager, create(manager), b"the disk is in use")
    await manager.stop()


@simulated
async def test_a_partition_deleted_before_its_rolled_segment_is_sealed_leaves_the_disk_in_use(
    sim: Simulation,
) -> None:
    host = Host(sim)
    manager = await host.start()
    for _ in range(10):
        log = create(manager, segment_bytes=4096)
        await acknowledge(manager, log, bytes(4000))
        append(manager, log, bytes(4000))
        await asyncio.sleep(5e-6)
        assert log.needs_flush
        manager.delete(TOPIC_ID, 0)
        await asyncio.sleep(0.01)
    assert manager.directories[0].state == broker_pb2.ONLINE
    await acknowledge(manager, create(manager), b"the disk is in use")
    await manager.stop()


@simulated
async def test_who_reads_a_log_whose_files_go_meanwhile_is_told_so(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = create(manager)
    await acknowledge(manager, log, b"x")
    log.close_files()  # as the removal of its files does first
    reads = [log.read(0, max_bytes=MIB, end_offset=1), log.find_timestamp(1), log.find_max_timestamp()]
    errors = await asyncio.gather(*reads, return_exceptions=True)
    assert [type(error) for error in errors] == [StorageFailedError] * 3


@simulated
async def test_a_partition_can_be_made_again_while_the_deleted_one_is_still_on_disk(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    for value in (b"first", b"second", b"third"):
        log = create(manager)
        assert log.log_end_offset == 0
        await acknowledge(manager, log, value)
        manager.delete(TOPIC_ID, 0)
    assert len([name for name in host.disk.list_directory(ONE) if name.endswith(".deleted")]) == 3
    await manager.stop()


@simulated
async def test_what_was_deleted_before_a_crash_is_removed_after_the_next_start(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    await acknowledge(manager, create(manager), b"x")
    manager.delete(TOPIC_ID, 0)
    host.die()
    manager = await host.start()
    assert len(manager) == 0
    await asyncio.sleep(70)
    assert not any(name.endswith(".deleted") for name in host.disk.list_directory(ONE))
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
async def test_nothing_expires_before_the_topics_settings_are_known(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    await acknowledge(manager, create(manager, retention_ms=-1), b"old")
    await manager.stop()
    host.machine.clock.jump(400 * 24 * 3_600_000)
    manager = await host.start(retention_check_ms=1000)
    host.machine.clock.jump(400 * 24 * 3_600_000)
    await asyncio.sleep(5)
    log = next(iter(manager))
    assert log.log_start_offset == 0
    log.settings = TopicSettings.of()
    await asyncio.sleep(5)
    assert log.log_start_offset == 1
    await manager.stop()


@simulated
async def test_retention_removes_files_after_a_delay(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start(retention_check_ms=1000)
    log = create(manager, segment_bytes=4096, retention_bytes=0)
    for _ in range(5):
        await acknowledge(manager, log, b"x" * 3000)
    await asyncio.sleep(2)
    assert log.log_start_offset == 5
    assert log.size_bytes == 0
    assert len(_segment_files(host, log.path)) > 1
    await asyncio.sleep(70)
    assert len(_segment_files(host, log.path)) == 1
    await manager.stop()


def _segment_files(host: Host, path: Path) -> list[str]:
    return [name for name in host.disk.list_directory(path) if name.endswith(".log")]


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


@simulated
async def test_a_log_that_comes_back_waits_until_the_one_before_is_out_of_its_way(sim: Simulation) -> None:
    """A replica that is moved away and back: the old directory is renamed after the flush, and the old
    checkpoint must not speak of the new log."""
    host = Host(sim)
    manager = await host.start(checkpoint_ms=1000)
    log = create(manager)
    await acknowledge(manager, log, b"one", b"two", b"three")
    await manager.checkpoint()
    append(manager, log, b"a flush is under way")
    await passes()
    manager.delete(TOPIC_ID, 0)
    with pytest.raises(StorageFailedError, match="on its way out"):
        create(manager)
    host.changes.clear()
    await host.machine.clock.sleep(2)
    assert host.changes == [manager.directories[0]]
    log = create(manager)
    assert log.log_end_offset == 0
    await acknowledge(manager, log, b"new")
    host.die(power_cut=True)
    (log,) = await host.start()
    assert not log.defects
    assert log.log_end_offset == 1
