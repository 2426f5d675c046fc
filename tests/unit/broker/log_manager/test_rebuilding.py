"""Logs that are cut back, begun anew or quarantined: what is left, and what a restart makes of it."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.read import ReadCursor
from streamkeep_common.errors import (
    CorruptLogError,
    DiskFullError,
    OffsetOutOfRangeError,
    StorageFailedError,
)
from streamkeep_proto.v1 import broker_pb2
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.sim.simulation import Simulation, run_simulation
from tests.unit.broker.log_manager.hand_worker import passes
from tests.unit.broker.log_manager.host import (
    MIB,
    ONE,
    TOPIC_ID,
    Host,
    acknowledge,
    append,
    batch_of,
    create,
    read_all,
    until_flushed,
)
from tests.unit.broker.simulated import simulated


async def filled(manager: LogManager, count: int = 40, *, partition: int = 0) -> PartitionLog:
    """A log of that many batches in segments of about eight, all of them acknowledged."""
    log = create(manager, partition, segment_bytes=4096, index_interval_bytes=512)
    for number in range(count):
        await acknowledge(manager, log, b"%d" % number + bytes(400))
    assert len(log.segments) > 3
    return log


async def offsets_of(log: PartitionLog) -> list[int]:
    return [batch.base_offset for batch in LogSegment.FromString(await read_all(log)).batches]


def names_in(host: Host, log: PartitionLog) -> list[str]:
    return host.disk.list_directory(log.path)


@simulated
async def test_a_log_that_is_cut_ends_there_and_goes_on_from_there(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    for partition, offset in enumerate((39, 30, 17, 8, 1, 0)):
        log = await filled(manager, partition=partition)
        await manager.truncate(log, offset)
        ends = log.log_end_offset, log.flushed_end_offset, log.high_watermark
        assert ends == (offset, offset, offset)
        assert await offsets_of(log) == list(range(offset))
        assert log.size_bytes == sum(host.disk.file_size(segment.path) for segment in log.segments)
        await acknowledge(manager, log, b"another")
        assert await offsets_of(log) == list(range(offset + 1))
    await manager.stop()
    manager = await host.start()
    assert [log.log_end_offset for log in manager] == [40, 31, 18, 9, 2, 1]
    assert not any(log.defects for log in manager)


@simulated
async def test_a_frame_that_reaches_above_the_cut_goes_whole(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = create(manager)
    await acknowledge(manager, log, b"a", b"b")
    await acknowledge(manager, log, b"c", b"d", b"e")
    await manager.truncate(log, 4)
    assert log.log_end_offset == 2


@simulated
async def test_a_cut_at_or_behind_the_end_changes_nothing(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = await filled(manager)
    before = await read_all(log)
    await manager.truncate(log, 40)
    await manager.truncate(log, 99)
    assert await read_all(log) == before


@simulated
async def test_a_log_is_not_cut_below_its_beginning(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = await filled(manager)
    log.delete_records(9)
    with pytest.raises(OffsetOutOfRangeError):
        await manager.truncate(log, 8)
    assert (log.log_start_offset, log.log_end_offset, log.is_suspended) == (9, 40, False)


@simulated
async def test_what_is_known_of_producers_and_epochs_is_what_is_left_of_it(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = create(manager, segment_bytes=4096)
    for number in range(30):
        batch = batch_of(bytes(400), sequence=number)
        manager.append(log, batch, batch.records, leader_epoch=1 + number // 10, now_ms=7)
        manager.request_flush(log)
        await until_flushed(log)
    await manager.truncate(log, 15)
    assert log.producers.check(1, 0, 14, 1) == (14, 15, 7)
    assert log.producers.check(1, 0, 15, 1) is None
    assert log.last_epoch == 2
    assert log.epoch_end(9) == (2, 15)
    await manager.truncate(log, 10)
    assert log.last_epoch == 1
    host.die(power_cut=True)
    manager = await host.start()
    (log,) = manager
    assert log.last_epoch == 1
    assert log.epoch_end(9).end_offset == 10


def test_a_cut_below_the_high_watermark_is_told_as_loss(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(sim: Simulation) -> None:
        host = Host(sim)
        manager = await host.start()
        log = await filled(manager)
        await manager.truncate(log, 33)
        assert log.high_watermark == 33

    with caplog.at_level(logging.WARNING):
        run_simulation(1, scenario)
    assert "below its high watermark: up to 7 acknowledged records are lost" in caplog.text


@simulated
async def test_a_reader_never_gets_bytes_that_were_cut(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = await filled(manager)
    cursor = ReadCursor()
    (offset,) = [segment.base_offset for segment in log.segments][-2:-1]
    piece = await log.read(offset + 2, max_bytes=1, end_offset=40, cursor=cursor)
    assert piece.next_offset == offset + 3
    await manager.truncate(log, offset + 1)
    with pytest.raises(OffsetOutOfRangeError):
        await log.read(piece.next_offset, max_bytes=MIB, end_offset=40, cursor=cursor)
    for _ in range(5):
        append(manager, log, b"other" * 30)
    piece = await log.read(piece.next_offset, max_bytes=MIB, end_offset=40, cursor=cursor)
    assert LogSegment.FromString(piece.data).batches[0].base_offset == offset + 3
    assert b"other" in piece.data


@simulated
async def test_nothing_is_appended_while_a_log_is_cut(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = await filled(manager)
    cutting = asyncio.ensure_future(manager.truncate(log, 20))
    await passes()
    assert log.is_suspended
    with pytest.raises(StorageFailedError, match="rebuilt"):
        append(manager, log, b"too early")
    await cutting
    append(manager, log, b"now")
    assert log.log_end_offset == 21


@simulated
async def test_a_cut_goes_on_when_nobody_waits_for_it_and_the_next_waits_for_it(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = await filled(manager)
    cutting = asyncio.ensure_future(manager.truncate(log, 20))
    await passes()
    cutting.cancel()
    await manager.truncate(log, 10)
    assert log.log_end_offset == 10
    assert not log.is_suspended


@simulated
async def test_a_log_that_is_deleted_while_it_is_cut_goes_afterwards(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = await filled(manager)
    cutting = asyncio.ensure_future(manager.truncate(log, 20))
    await passes()
    manager.delete(TOPIC_ID, 0)
    assert manager.get(TOPIC_ID, 0) is None
    await cutting
    await sim.machine("waits").clock.sleep(0.1)
    assert manager.directories[0].state == broker_pb2.ONLINE
    assert not host.disk.exists(log.path)


@simulated
async def test_a_log_begun_anew_is_empty_and_begins_where_it_was_told(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    for partition, offset in enumerate((1000, 40, 20, 8, 0)):
        log = await filled(manager, partition=partition)
        log.delete_records(9)
        await manager.begin_anew(log, offset)
        assert (log.log_start_offset, log.high_watermark, log.flushed_end_offset, log.log_end_offset) == (
            offset,
        ) * 4
        assert (log.last_epoch, log.epoch_end(5), len(log.producers)) == (0, (0, offset), 0)
        assert names_in(host, log) == [f"{offset:020d}.log"]
    host.die(power_cut=True)
    manager = await host.start()
    assert [log.log_end_offset for log in manager] == [1000, 40, 20, 8, 0]
    assert [log.log_start_offset for log in manager][:2] == [1000, 40]
    for log in manager:
        end = log.log_end_offset
        await acknowledge(manager, log, b"first")
        assert await offsets_of(log) == [end]


@simulated
async def test_a_segment_let_go_before_is_not_removed_under_the_name_of_a_new_one(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start(retention_check_ms=1000)
    log = await filled(manager)
    log.delete_records(20)
    await host.machine.clock.sleep(5)
    assert log.segments[0].base_offset > 0
    await manager.begin_anew(log, 0)
    await acknowledge(manager, log, b"new")
    await host.machine.clock.sleep(100)
    assert await offsets_of(log) == [0]
    assert host.disk.exists(log.segments[0].path)


@simulated
async def test_damaged_files_are_kept_and_the_log_begins_anew(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = await filled(manager)
    path = log.segments[1].path
    await manager.stop()
    host.disk.flip_bit(path, 150, 3)
    host.disk.remove_file(ONE / "clean-shutdown")
    host.disk.remove_file(ONE / "checkpoint")
    for life in range(2):
        manager = await host.start()
        (log,) = manager
        if life == 0:
            assert log.defects
            with pytest.raises(CorruptLogError):
                await manager.truncate(log, 3)
            kept = {name: host.disk.read_file(log.path / name) for name in names_in(host, log)}
            await manager.quarantine(log)
        assert not log.defects
        assert (log.log_start_offset, log.log_end_offset) == (0, life)
        await acknowledge(manager, log, b"again")
        (aside,) = [name for name in host.disk.list_directory(ONE) if name.endswith(".damaged")]
        assert {name: host.disk.read_file(ONE / aside / name) for name in kept} == kept
        host.die(power_cut=True)
    manager = await host.start()
    (log,) = manager
    await manager.quarantine(log)
    manager.delete(TOPIC_ID, 0)
    await host.machine.clock.sleep(100)
    assert len([name for name in host.disk.list_directory(ONE) if name.endswith(".damaged")]) == 2


@simulated
async def test_a_full_disk_keeps_the_log_as_it_is_and_in_use(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = await filled(manager)
    host.disk.set_capacity(0, mount=ONE.parent)
    for change in (manager.truncate(log, 20), manager.begin_anew(log, 0)):
        with pytest.raises(DiskFullError):
            await change
    assert not log.is_suspended
    host.disk.set_capacity(64 * MIB, mount=ONE.parent)
    await host.machine.clock.sleep(2)
    assert append(manager, log, b"more") == 41
    await manager.truncate(log, 20)
    assert await offsets_of(log) == list(range(20))


@simulated
async def test_a_change_that_has_begun_is_done_when_the_disk_has_room_again(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = await filled(manager)
    write_file = host.disk.write_file

    def fill_up_then_write(path: Path, data: bytes) -> None:
        if path.name == "begin-anew":
            host.disk.set_capacity(0, mount=ONE.parent)
        write_file(path, data)

    host.disk.write_file = fill_up_then_write  # type: ignore[method-assign]
    changing = asyncio.ensure_future(manager.begin_anew(log, 7))
    await host.machine.clock.sleep(3)
    assert not changing.done()
    host.disk.write_file = write_file  # type: ignore[method-assign]
    host.disk.set_capacity(64 * MIB, mount=ONE.parent)
    await changing
    assert (log.log_start_offset, log.log_end_offset) == (7, 7)


@simulated
async def test_a_disk_that_fails_takes_the_directory_offline_as_ever(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log = await filled(manager)
    host.disk.fail("sync", under=log.path)
    with pytest.raises(StorageFailedError):
        await manager.truncate(log, 20)
    assert manager.directories[0].state == broker_pb2.OFFLINE
    with pytest.raises(StorageFailedError):
        append(manager, log, b"never")
    with pytest.raises(StorageFailedError):
        await manager.quarantine(log)


@simulated
async def test_a_watermark_that_went_ahead_of_the_disk_stays_where_it_was_told(sim: Simulation) -> None:
    """Durability `os` acknowledges what is not flushed; a cut above the watermark takes none of it back."""
    host = Host(sim)
    manager = await host.start()
    log = create(manager, durability="os")
    for _ in range(10):
        append(manager, log, b"x")
    log.advance_high_watermark(8)
    await manager.truncate(log, 9)
    assert (log.high_watermark, log.log_end_offset) == (8, 9)
