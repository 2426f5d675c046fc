"""What the tests of one partition's log share: batches, logs on a simulated disk, a flush by hand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from streamkeep_broker.log.checkpoints import BEGINNING, Checkpoint
from streamkeep_broker.log.file_cache import FileCache
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.recovery import recover_log
from streamkeep_broker.log.writable_log import Appended
from streamkeep_common.records import decode_batch, encode_batch
from streamkeep_common.records.codecs import Codec
from streamkeep_common.seams import Disk, Worker
from streamkeep_common.settings import TopicSettings
from streamkeep_proto.v1.records_pb2 import LogSegment, RecordBatch
from tests.sim.disk import SimDisk

T = TypeVar("T")

PATH = Path("/data/flights-0")
TOPIC_ID = bytes(range(16))
NOW_MS = 1_700_000_000_000
VALUES = [b"value %d " % number * 20 for number in range(40)]


class InlineWorker:
    """Does the work at once."""

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)
        return future

    async def close(self) -> None:
        """Nothing is under way."""


class HeldWorker:
    """Does its work only when it is released."""

    def __init__(self) -> None:
        self._held: list[Callable[[], None]] = []

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def carry_out() -> None:
            try:
                future.set_result(work())
            except Exception as error:
                future.set_exception(error)

        self._held.append(carry_out)
        return future

    async def close(self) -> None:
        """Nothing is under way."""

    async def release(self) -> None:
        """Do the work that was given first, once the tasks that are ready have had their turn."""
        await asyncio.sleep(0)
        self._held.pop(0)()


def settings(**changes: object) -> TopicSettings:
    """The defaults, with small segments and a fine index."""
    small = replace(TopicSettings.of({}), segment_bytes=4096, index_interval_bytes=256)
    return replace(small, **changes)  # type: ignore[arg-type]


def make_disk(seed: int = 0) -> SimDisk:
    disk = SimDisk(random.Random(seed))
    disk.make_directories(PATH)
    for directory in (Path("/"), *reversed(PATH.parents), PATH):
        disk.sync_directory(directory)
    return disk


def open_log(
    disk: Disk,
    *,
    path: Path = PATH,
    checkpoint: Checkpoint = BEGINNING,
    clean: bool = False,
    same_boot: bool = False,
    commit: bool = True,
    reader: Worker | None = None,
    **changes: object,
) -> PartitionLog:
    """Recover the log in `path`; `commit` makes its name durable, as a new log's first flush does."""
    topic_settings = settings(**changes)
    files = FileCache(disk, capacity=8)
    recovered = recover_log(
        disk,
        files,
        path,
        checkpoint=checkpoint,
        clean=clean,
        same_boot=same_boot,
        settings=topic_settings,
    )
    log = PartitionLog(
        recovered,
        topic_id=TOPIC_ID,
        topic="flights",
        partition=0,
        settings=topic_settings,
        disk=disk,
        files=files,
        reader=reader or InlineWorker(),
    )
    if commit:
        flush_once(disk, log)
    return log


def make_batch(
    values: Iterable[bytes] = (b"value",),
    *,
    timestamps_ms: list[int] | int = NOW_MS,
    producer_id: int = 1,
    producer_epoch: int = 0,
    base_sequence: int = 0,
) -> RecordBatch:
    return encode_batch(
        values=list(values),
        timestamps_ms=timestamps_ms,
        codec=Codec.NONE,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
    )


def append(log: PartitionLog, batch: RecordBatch, *, leader_epoch: int = 1, now_ms: int = NOW_MS) -> Appended:
    return log.append(batch, batch.records, leader_epoch=leader_epoch, now_ms=now_ms)


def append_values(log: PartitionLog, values: Iterable[bytes], *, now_ms: int = NOW_MS) -> None:
    """One batch a value, sequences of producer 1 going on where they stood."""
    for value in values:
        known = log.producers.by_id.get(1)
        sequence = known.batches[-1].last_sequence + 1 if known else 0
        append(log, make_batch([value], timestamps_ms=now_ms, base_sequence=sequence), now_ms=now_ms)


def flush(disk: Disk, log: PartitionLog) -> None:
    """Group commits until all is durable."""
    while log.needs_flush or log.flushed_end_offset < log.log_end_offset:
        flush_once(disk, log)


def flush_once(disk: Disk, log: PartitionLog) -> None:
    target = log.flush_target()
    for file in target.files:
        file.sync()
    for directory in target.directories:
        disk.sync_directory(directory)
    log.flushed(target.end_offset)


def publish(disk: Disk, log: PartitionLog) -> None:
    """Flush, and let readers see all of it."""
    flush(disk, log)
    log.advance_high_watermark(log.log_end_offset)


def stop(disk: Disk, log: PartitionLog) -> Checkpoint:
    """A clean stop; the checkpoint for the next start."""
    flush(disk, log)
    log.close()
    file_system = disk.file_system(PATH)
    file_system.sync()
    return Checkpoint(log.log_start_offset, log.flushed_end_offset, log.high_watermark)


def stopped(values: list[bytes] = VALUES) -> tuple[SimDisk, Checkpoint]:
    """A disk with a log that was stopped cleanly, each value in a batch of its own, and the checkpoint."""
    disk = make_disk()
    log = open_log(disk)
    for number in range(0, len(values), 8):
        append_values(log, values[number : number + 8])
        publish(disk, log)
    return disk, stop(disk, log)


async def read_values(
    log: PartitionLog, *, start: int | None = None, max_bytes: int = 1 << 20
) -> list[bytes]:
    """All values from `start` (default: the log start) to the log end."""
    return [value for _, value in await read_records(log, start=start, max_bytes=max_bytes)]


async def read_records(
    log: PartitionLog, *, start: int | None = None, max_bytes: int = 1 << 20
) -> list[tuple[int, bytes]]:
    offset = log.log_start_offset if start is None else start
    wanted = offset
    records = []
    while offset < log.log_end_offset:
        data, offset = await log.read(offset, max_bytes=max_bytes, end_offset=log.log_end_offset)
        assert data
        for batch in LogSegment.FromString(data).batches:
            columns = decode_batch(batch)
            records += zip(columns.offsets, columns.values, strict=True)
    return [(offset, value or b"") for offset, value in records if offset >= wanted]


def segment_files(disk: Disk, path: Path = PATH) -> list[Path]:
    return [path / name for name in disk.list_directory(path) if name.endswith(".log")]
