"""The log manager on the real disk, with real threads."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from streamkeep_broker.log.identity import DirectoryRefusedError
from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_common.seams.real.clock import RealClock
from streamkeep_common.seams.real.disk import RealDisk
from streamkeep_common.seams.real.workers import RealWorkers
from streamkeep_common.settings import BrokerSettings
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.unit.broker.log_manager.host import append, create, read_all, until_flushed


def make_manager(*directories: Path) -> LogManager:
    settings = {"id": "1", "data_dirs": str(directories[0]), "max_open_files": "16"}
    return LogManager(
        directories=directories,
        disk=RealDisk(),
        workers=RealWorkers(),
        clock=RealClock(),
        rng=random.Random(1),
        settings=BrokerSettings.of(settings),
        on_directory_change=lambda directory: None,
    )


async def flushed(logs: list[PartitionLog]) -> None:
    async with asyncio.timeout(30):
        for log in logs:
            await until_flushed(log)


async def test_logs_are_written_flushed_stopped_and_found_again(tmp_path: Path) -> None:
    manager = make_manager(tmp_path / "a", tmp_path / "b")
    await manager.start()
    logs = [create(manager, number, directory=number % 2, segment_bytes=4096) for number in range(50)]
    for _ in range(4):
        for log in logs:
            append(manager, log, b"x" * 1500)
        await flushed(logs)
    written = [await read_all(log) for log in logs]
    assert all(len(LogSegment.FromString(data).batches) == 4 for data in written)
    await manager.stop()
    manager = make_manager(tmp_path / "a", tmp_path / "b")
    await manager.start()
    assert manager.clean_start
    found = sorted(manager, key=lambda log: log.partition)
    assert [await read_all(log) for log in found] == written
    await manager.stop()


async def test_a_directory_in_use_is_refused_until_its_broker_stops(tmp_path: Path) -> None:
    first, second = make_manager(tmp_path), make_manager(tmp_path)
    await first.start()
    with pytest.raises(DirectoryRefusedError, match="in use by another process"):
        await second.start()
    await first.stop()
    await second.start()
    await second.stop()
