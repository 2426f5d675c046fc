"""A bit that flips in a segment is found and named, with file and byte; nothing that follows it is cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamkeep_broker.log.checkpoints import BEGINNING, Checkpoint
from streamkeep_broker.log.verify import Finding, read_segment, verify_path
from streamkeep_common.errors import CorruptLogError
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.sim.disk import SimDisk
from tests.unit.broker.log.logs import (
    PATH,
    append_values,
    make_disk,
    open_log,
    publish,
    segment_files,
    stop,
)

VALUES = [b"the first", b"another", b"the third one", b"last"]


def _written() -> tuple[SimDisk, Checkpoint, Path, list[int]]:
    """A stopped log of one small segment, and where its frames begin."""
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES)
    publish(disk, log)
    checkpoint = stop(disk, log)
    (path,) = segment_files(disk)
    starts = [item.position for item in read_segment(disk, path) if not isinstance(item, Finding)]
    return disk, checkpoint, path, starts


DISK, CHECKPOINT, SEGMENT, STARTS = _written()
SIZE = DISK.file_size(SEGMENT)
ALL_FLIPS = [(byte, bit) for byte in range(SIZE) for bit in range(8)]
# Every byte with two of its bits, each of the eight in its turn.
FLIPS = [(byte, bit) for byte, bit in ALL_FLIPS if bit % 4 == byte % 4]


def _frame_of(byte: int) -> int:
    return max(number for number, start in enumerate(STARTS) if start <= byte)


@pytest.mark.parametrize("part", range(4))
def test_verify_names_the_frame_of_any_flipped_bit_and_shows_all_others(part: int) -> None:
    for byte, bit in ALL_FLIPS[part::4]:
        DISK.flip_bit(SEGMENT, byte, bit)
        try:
            items = list(read_segment(DISK, SEGMENT))
            assert list(verify_path(DISK, PATH)) == [item for item in items if isinstance(item, Finding)]
        finally:
            DISK.flip_bit(SEGMENT, byte, bit)
        damaged = _frame_of(byte)
        findings = [item for item in items if isinstance(item, Finding)]
        assert [(finding.path, finding.position, finding.offset) for finding in findings] == [
            (SEGMENT, STARTS[damaged], damaged)
        ]
        good = [item.batch.base_offset for item in items if not isinstance(item, Finding)]
        assert good == [offset for offset in range(4) if offset != damaged]


@pytest.mark.parametrize("part", range(4))
async def test_recovery_names_a_flipped_bit_and_cuts_nothing(part: int) -> None:
    """Below the recovery point nothing can be torn; and above it, if whole frames follow."""
    for byte, bit in FLIPS[part::4]:
        damaged = _frame_of(byte)
        for checkpoint in (CHECKPOINT, BEGINNING) if damaged < 3 else (CHECKPOINT,):
            DISK.flip_bit(SEGMENT, byte, bit)
            try:
                await _check_recovery(checkpoint, damaged)
            finally:
                DISK.flip_bit(SEGMENT, byte, bit)


async def _check_recovery(checkpoint: Checkpoint, damaged: int) -> None:
    before = DISK.read_file(SEGMENT)
    log = open_log(DISK, checkpoint=checkpoint)
    assert DISK.read_file(SEGMENT) == before, "nothing is cut or changed"
    assert [(defect.path, defect.position, defect.offset) for defect in log.defects] == [
        (SEGMENT, STARTS[damaged], damaged)
    ]
    with pytest.raises(CorruptLogError, match=rf"{SEGMENT}, byte {STARTS[damaged]}, offset {damaged}"):
        append_values(log, [b"refused"])
    for offset in range(4):
        if offset == damaged:
            if offset < log.log_end_offset:
                with pytest.raises(CorruptLogError, match=rf"{SEGMENT}, byte {STARTS[damaged]}"):
                    await log.read(offset, max_bytes=1 << 20, end_offset=4)
            continue
        data, _ = await log.read(offset, max_bytes=1 << 20, end_offset=4)
        read = [batch.base_offset for batch in LogSegment.FromString(data).batches]
        assert read[0] == offset
        assert damaged not in read
    log.close_files()


@pytest.mark.parametrize("part", range(2))
async def test_a_flip_in_the_last_frame_above_every_checkpoint_looks_like_a_torn_write(part: int) -> None:
    for byte, bit in FLIPS[part::2]:
        if _frame_of(byte) < 3:
            continue
        disk, _, path, _ = _written()
        disk.flip_bit(path, byte, bit)
        log = open_log(disk)
        assert log.log_end_offset == 3
        assert LogSegment.FromString(disk.read_file(path)).batches[-1].base_offset == 2


async def test_a_sealed_segment_is_never_cut_whatever_is_known_of_checkpoints() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, [b"x" * 300] * 20)
    publish(disk, log)
    stop(disk, log)
    first, *_, last = segment_files(disk)
    sizes = [disk.file_size(path) for path in segment_files(disk)]
    disk.flip_bit(first, sizes[0] - 1, 0)
    log = open_log(disk, checkpoint=BEGINNING)
    assert [disk.file_size(path) for path in segment_files(disk)] == sizes
    (defect,) = log.defects
    assert defect.path == first
    data, _ = await log.read(log.segments[1].base_offset, max_bytes=1, end_offset=20)
    assert LogSegment.FromString(data).batches[0].base_offset == log.segments[1].base_offset
    assert last != first
