"""What is deleted or expires: when it is gone, when its files go, and who is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from streamkeep_broker.log.manager import StillLeavingError
from streamkeep_common.errors import StorageFailedError
from streamkeep_common.settings import TopicSettings
from streamkeep_proto.v1 import broker_pb2
from tests.sim.simulation import Simulation
from tests.unit.broker.log_manager.hand_worker import passes
from tests.unit.broker.log_manager.host import MIB, ONE, TOPIC_ID, Host, acknowledge, append, create
from tests.unit.broker.simulated import simulated


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
    with pytest.raises(StillLeavingError, match="on its way out"):
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
