"""A follower stores its leader's frames byte for byte, or nothing of a push that it must not take."""

from __future__ import annotations

import random

import pytest

from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_common.errors import CorruptBatchError, InvalidBatchError, StreamkeepError
from streamkeep_common.records.frame import FRAME_HEADER_BYTES, LAYOUT_VERSION, batch_to_frame
from tests.sim.disk import SimDisk
from tests.unit.broker.log.logs import (
    NOW_MS,
    append,
    flush,
    make_batch,
    make_disk,
    open_log,
    read_values,
    segment_files,
)


def leader(count: int = 20, *, epoch_every: int = 8) -> PartitionLog:
    log = open_log(make_disk(), segment_bytes=1500)
    for number in range(count):
        batch = make_batch([b"%d" % number * 20], base_sequence=number)
        append(log, batch, leader_epoch=1 + number // epoch_every)
    return log


async def frames_of(log: PartitionLog, offset: int = 0, end_offset: int = 1 << 40) -> bytes:
    data = b""
    end_offset = min(end_offset, log.log_end_offset)
    while offset < end_offset:
        piece = await log.read(offset, max_bytes=1 << 20, end_offset=end_offset)
        data, offset = data + piece.data, piece.next_offset
    return data


def contents(disk: SimDisk) -> bytes:
    return b"".join(disk.read_file(path) for path in segment_files(disk))


def push(log: PartitionLog, frames: bytes, *, leader_epoch: int = 9) -> None:
    log.append_frames(frames, previous_end_offset=log.log_end_offset, leader_epoch=leader_epoch)


async def test_replicas_are_identical_byte_for_byte_and_know_the_same() -> None:
    source = leader(60)
    frames = await frames_of(source)
    for segment_bytes in (300, 1500, 4096, 1 << 20):
        for pushed_at_once in (1, 7, 60):
            disk = make_disk()
            log = open_log(disk, segment_bytes=segment_bytes)
            for offset in range(0, 60, pushed_at_once):
                push(log, await frames_of(source, offset, offset + pushed_at_once))
                flush(disk, log)
            assert contents(disk) == frames
            assert list(log.leader_epochs.starts) == list(source.leader_epochs.starts)
            assert log.last_epoch == source.last_epoch == 8
            assert log.producers.check(1, 0, 57, 1) == (57, 58, NOW_MS)
            assert len(log.segments) > 1 or segment_bytes > len(frames)
            again = open_log(disk)
            assert await read_values(again) == await read_values(source)
            assert list(again.leader_epochs.starts) == list(source.leader_epochs.starts)


async def test_segments_roll_within_a_push_as_they_do_frame_by_frame() -> None:
    source = leader(30)
    one_by_one, at_once = open_log(make_disk(), segment_bytes=700), open_log(make_disk(), segment_bytes=700)
    for offset in range(30):
        push(one_by_one, await frames_of(source, offset, offset + 1))
    push(at_once, await frames_of(source))
    shapes = [[(part.base_offset, part.size) for part in log.segments] for log in (one_by_one, at_once)]
    assert shapes[0] == shapes[1]


async def test_a_changed_bit_anywhere_in_a_push_keeps_all_of_it_out() -> None:
    frames = await frames_of(leader(3))
    rng = random.Random(1)
    for _ in range(300):
        changed = bytearray(frames)
        changed[rng.randrange(len(frames))] ^= 1 << rng.randrange(8)
        disk = make_disk()
        log = open_log(disk)
        with pytest.raises(StreamkeepError):
            push(log, bytes(changed))
        assert log.log_end_offset == 0
        assert contents(disk) == b""


async def test_a_push_that_ends_within_a_frame_is_refused() -> None:
    frames = await frames_of(leader(2))
    log = open_log(make_disk())
    for size in (0, 1, FRAME_HEADER_BYTES - 1, FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + 1, len(frames) - 1):
        with pytest.raises(CorruptBatchError):
            push(log, frames[:size])
    assert log.log_end_offset == 0


async def test_only_what_follows_on_the_log_is_taken() -> None:
    source = leader(20)
    log = open_log(make_disk())
    push(log, await frames_of(source, 0, 10))
    with pytest.raises(InvalidBatchError, match="ends elsewhere"):
        log.append_frames(await frames_of(source, 10), previous_end_offset=9, leader_epoch=9)
    for first, second in ((9, 11), (11, 13)):
        with pytest.raises(InvalidBatchError, match="offset 10 should follow"):
            push(log, await frames_of(source, first, second))
    with pytest.raises(InvalidBatchError, match="offset 12 should follow"):
        push(log, await frames_of(source, 10, 12) + await frames_of(source, 13))
    assert log.log_end_offset == 10
    push(log, await frames_of(source, 10))


async def test_leader_epochs_never_fall_nor_rise_above_the_leaders() -> None:
    def frame(offset: int, epoch: int) -> bytes:
        batch = make_batch([b"x"])
        batch.base_offset, batch.leader_epoch, batch.leader_flags = offset, epoch, LAYOUT_VERSION
        return batch_to_frame(batch)

    log = open_log(make_disk())
    for epochs in ((0,), (6,), (3, 2), (-1,)):
        with pytest.raises(InvalidBatchError, match="leader epoch"):
            push(log, b"".join(frame(n, epoch) for n, epoch in enumerate(epochs)), leader_epoch=5)
    push(log, frame(0, 3) + frame(1, 5), leader_epoch=5)
    with pytest.raises(InvalidBatchError, match="leader epoch 4"):
        push(log, frame(2, 4), leader_epoch=5)
    assert list(log.leader_epochs.starts) == [(3, 0), (5, 1)]


async def test_what_was_led_without_a_record_does_not_keep_another_leaders_records_out() -> None:
    source = leader(20, epoch_every=10)
    disk = make_disk()
    log = open_log(disk)
    push(log, await frames_of(source, 0, 12))
    log.leader_epochs.assign(5, 12)
    flush(disk, log)
    assert (log.last_epoch, log.leader_epochs.latest) == (2, 5)
    push(log, await frames_of(source, 12))
    assert list(log.leader_epochs.starts) == [(1, 0), (2, 10)]
    flush(disk, log)
    for clean in (True, False):
        assert list(open_log(disk, clean=clean).leader_epochs.starts) == [(1, 0), (2, 10)]


async def test_a_push_that_does_not_fit_on_the_disk_leaves_whole_frames() -> None:
    source = leader(30)
    frames = await frames_of(source)
    for room in range(0, len(frames), 97):
        disk = make_disk()
        log = open_log(disk, segment_bytes=900)
        flush(disk, log)
        disk.set_capacity(disk.used() + room)
        with pytest.raises(OSError, match="space"):
            push(log, frames)
        disk.set_capacity(1 << 30)
        end = log.log_end_offset
        assert await frames_of(log) == await frames_of(source, 0, end)
        push(log, await frames_of(source, end))
        assert contents(disk) == frames
