"""A simulated machine on which log managers live and die one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from streamkeep_broker.log.directory import LogDirectory
from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_common.records.codecs import Codec
from streamkeep_common.records.encode import encode_batch
from streamkeep_common.settings import BrokerSettings, TopicSettings
from streamkeep_proto.v1.records_pb2 import RecordBatch
from tests.sim.disk import SimDisk
from tests.sim.simulation import Machine, Simulation

DISK1, DISK2 = Path("/disk1"), Path("/disk2")
ONE, TWO = DISK1 / "logs", DISK2 / "logs"
MIB = 1 << 20
TOPIC_ID = b"\x0a" * 16


class Host:
    """Two disks of 64 MiB, and what a test needs of a broker."""

    def __init__(self, simulation: Simulation, *, directories: Sequence[Path] = (ONE,)) -> None:
        self._simulation = simulation
        self._directories = directories
        self.disk = SimDisk(simulation.rng("disk"), mounts={DISK1: 64 * MIB, DISK2: 64 * MIB})
        self.machine: Machine = simulation.machine("broker")
        self.changes: list[LogDirectory] = []

    async def start(self, **overrides: object) -> LogManager:
        """A new manager, started, in a process that `die` ends."""
        self.machine = self._simulation.machine("broker")
        manager = self.manager(**overrides)
        await self.machine.spawn(manager.start())
        return manager

    def manager(self, **overrides: object) -> LogManager:
        settings = {"id": 1, "data_dirs": "/disk1/logs", "min_free_bytes": 0, **overrides}
        return LogManager(
            directories=self._directories,
            disk=self.disk,
            workers=self.machine.workers,
            clock=self.machine.clock,
            rng=self.machine.rng,
            settings=BrokerSettings.of({name: str(value) for name, value in settings.items()}),
            on_directory_change=self.changes.append,
        )

    def die(self, *, power_cut: bool = False) -> None:
        """kill -9, or worse."""
        self.machine.kill()
        if power_cut:
            self.disk.power_cut()
        else:
            self.disk.kill()


def create(
    manager: LogManager, partition: int = 0, *, directory: int = 0, **settings: object
) -> PartitionLog:
    """A new log of topic t."""
    return manager.create(
        TOPIC_ID,
        "t",
        partition,
        manager.directories[directory].id,
        TopicSettings.of({name: str(value) for name, value in settings.items()}),
    )


def batch_of(*values: bytes, sequence: int = 0, timestamp_ms: int = 1_700_000_000_000) -> RecordBatch:
    return encode_batch(
        values=list(values),
        keys=None,
        timestamps_ms=timestamp_ms,
        headers=None,
        codec=Codec.NONE,
        producer_id=1,
        producer_epoch=0,
        base_sequence=sequence,
    )


def append(manager: LogManager, log: PartitionLog, *values: bytes) -> int:
    """Append one batch and ask for its flush; returns the log's end."""
    batch = batch_of(*values, sequence=log.log_end_offset)
    appended = manager.append(log, batch, batch.records, leader_epoch=1, now_ms=1_700_000_000_000)
    manager.request_flush(log)
    return appended.next_offset


async def until_flushed(log: PartitionLog, end_offset: int | None = None) -> None:
    """Wait until all of the log, or what is below an offset, is on disk."""
    end_offset = log.log_end_offset if end_offset is None else end_offset
    moved = asyncio.Event()
    log.on_progress = moved.set
    while log.flushed_end_offset < end_offset:
        moved.clear()
        await moved.wait()


async def acknowledge(manager: LogManager, log: PartitionLog, *values: bytes) -> None:
    """Append one batch, wait until it is on disk, and call it committed."""
    end_offset = append(manager, log, *values)
    await until_flushed(log, end_offset)
    log.advance_high_watermark(end_offset)


async def read_all(log: PartitionLog) -> bytes:
    """All frames from the log start to the flushed end."""
    data, offset = b"", log.log_start_offset
    while offset < log.flushed_end_offset:
        piece = await log.read(offset, max_bytes=MIB, end_offset=log.flushed_end_offset)
        data, offset = data + piece.data, piece.next_offset
    return data
