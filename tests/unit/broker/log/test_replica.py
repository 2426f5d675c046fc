"""What a replica's log says of itself to a leader, a follower, or whoever compares replicas."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from streamkeep_broker.log.begin_anew import order_to_begin_anew
from streamkeep_broker.log.checkpoints import Checkpoint
from streamkeep_broker.log.read import ReadCursor
from streamkeep_common.errors import CorruptLogError, OffsetOutOfRangeError
from streamkeep_common.records.frame import FRAME_HEADER_BYTES
from tests.unit.broker.log.logs import (
    PATH,
    VALUES,
    HeldWorker,
    append_values,
    flush,
    make_disk,
    open_log,
    publish,
    read_values,
    segment_files,
)


async def test_an_epoch_without_a_record_is_not_the_last_one() -> None:
    log = open_log(make_disk())
    assert log.last_epoch == 0
    log.leader_epochs.assign(1, 0)
    assert log.last_epoch == 0
    append_values(log, VALUES[:3])
    log.leader_epochs.assign(7, 3)
    assert log.last_epoch == 1
    assert log.epoch_end(6) == (1, 3)
    assert log.epoch_end(0) == (0, 0)


async def test_the_leaders_log_start_is_followed_up_to_the_own_high_watermark_and_never_back() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:9])
    log.adopt_log_start(5)
    assert log.log_start_offset == 0
    flush(disk, log)
    log.advance_high_watermark(4)
    log.adopt_log_start(6)
    assert log.log_start_offset == 4
    log.adopt_log_start(2)
    assert log.log_start_offset == 4
    assert log.epoch_end(0) == (0, 4)


async def test_the_same_frames_hash_the_same_whatever_the_segments() -> None:
    disk = make_disk()
    log = open_log(disk, segment_bytes=1000)
    append_values(log, VALUES)
    publish(disk, log)
    data = b"".join(disk.read_file(path) for path in segment_files(disk))
    assert await log.hash_frames(0, 40) == (hashlib.sha256(data).digest(), 0, 40, len(data))
    (start,) = [segment.base_offset for segment in log.segments][1:2]
    behind = b"".join(disk.read_file(path) for path in segment_files(disk)[1:])
    assert await log.hash_frames(start, 40) == (hashlib.sha256(behind).digest(), start, 40, len(behind))
    assert await log.hash_frames(7, 7) == (hashlib.sha256(b"").digest(), 7, 7, 0)
    with pytest.raises(OffsetOutOfRangeError):
        await log.hash_frames(41, 50)


async def test_damaged_records_have_no_hash_and_nobody_begins_with_them() -> None:
    """The frame's header is as it was. A reader that comes by gets it, and refuses it itself."""
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:3])
    publish(disk, log)
    (path,) = segment_files(disk)
    first = (await log.read(0, max_bytes=1, end_offset=1)).data
    disk.flip_bit(path, len(first) + FRAME_HEADER_BYTES + 3, 0)
    with pytest.raises(CorruptLogError, match=f"{path}, byte {len(first)}: the records"):
        await log.hash_frames(0, 3)
    cursor = ReadCursor()
    await log.read(0, max_bytes=1, end_offset=3, cursor=cursor)
    assert (await log.read(1, max_bytes=1, end_offset=3, cursor=cursor)).next_offset == 2
    with pytest.raises(CorruptLogError, match=f"byte {len(first)}: the records"):
        await log.read(1, max_bytes=1, end_offset=3, cursor=ReadCursor())


async def test_cold_frames_are_hashed_on_the_worker() -> None:
    worker = HeldWorker()
    disk = make_disk()
    log = open_log(disk, reader=worker)
    append_values(log, VALUES)
    hashing = asyncio.ensure_future(log.hash_frames(0, 40))
    while not hashing.done():
        await worker.release()
        await asyncio.sleep(0)
    assert hashing.result().to_offset == 40


@pytest.mark.parametrize("damage", [None, b"", b"7\n", b"not an order"])
async def test_an_order_to_begin_anew_is_carried_out_by_whoever_opens_the_log_next(
    damage: bytes | None,
) -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES)
    publish(disk, log)
    order_to_begin_anew(disk, PATH, 123)
    if damage is not None:
        disk.write_file(PATH / "begin-anew", damage)
    disk.power_cut()
    log = open_log(disk, checkpoint=Checkpoint(0, 0, 0))
    offset = 123 if damage is None else 0
    assert (log.log_start_offset, log.log_end_offset) == (offset, offset)
    assert disk.list_directory(PATH) == [f"{offset:020d}.log"]
    append_values(log, VALUES[:2])
    flush(disk, log)
    disk.power_cut()
    assert await read_values(open_log(disk, checkpoint=Checkpoint(0, 0, 0))) == VALUES[:2]
