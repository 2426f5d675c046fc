"""Indexes, producers and leader epochs that are lost or damaged are built again from the frames."""

from __future__ import annotations

import pytest

from streamkeep_broker.log.checkpoints import Checkpoint
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.unit.broker.log.logs import (
    NOW_MS,
    PATH,
    VALUES,
    append,
    append_values,
    flush,
    flush_once,
    make_batch,
    make_disk,
    open_log,
    publish,
    stop,
    stopped,
)


@pytest.mark.parametrize("suffix", [".index", ".index.open", ".timeindex"])
@pytest.mark.parametrize("content", [None, b"", b"garbage" * 50])
async def test_lost_or_damaged_indexes_are_built_again(suffix: str, content: bytes | None) -> None:
    disk, checkpoint = stopped()
    for name in disk.list_directory(PATH):
        if name.endswith(suffix):
            disk.remove_file(PATH / name)
            if content is not None:
                disk.write_file(PATH / name, content)
    log = open_log(disk, checkpoint=checkpoint, clean=True)
    assert log.log_end_offset == 40
    for offset in range(40):
        data, _ = await log.read(offset, max_bytes=1, end_offset=40)
        assert LogSegment.FromString(data).batches[0].base_offset == offset
    assert await log.find_timestamp(NOW_MS) == (0, NOW_MS, 1)
    assert await log.find_timestamp(NOW_MS + 1) is None


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("suffix", [".snapshot", "leader-epochs"])
@pytest.mark.parametrize("content", [None, b"", b"garbage\n" * 50])
async def test_lost_or_damaged_states_are_built_again(
    clean: bool, suffix: str, content: bytes | None
) -> None:
    disk, checkpoint = stopped()
    for name in disk.list_directory(PATH):
        if name.endswith(suffix):
            disk.remove_file(PATH / name)
            if content is not None:
                disk.write_file(PATH / name, content)
    log = open_log(disk, checkpoint=checkpoint, clean=clean)
    assert not log.defects
    assert log.producers.check(1, 0, 36, 1) == (36, 37, NOW_MS)
    assert list(log.leader_epochs.starts) == [(1, 0)]


async def test_a_lost_leader_epochs_file_is_built_again_from_the_whole_log() -> None:
    disk = make_disk()
    log = open_log(disk)
    for number, value in enumerate(VALUES):
        append(log, make_batch([value], base_sequence=number), leader_epoch=1 + number // 15)
    publish(disk, log)
    checkpoint = stop(disk, log)
    disk.remove_file(PATH / "leader-epochs")
    log = open_log(disk, checkpoint=checkpoint, clean=True)
    assert list(log.leader_epochs.starts) == [(1, 0), (2, 15), (3, 30)]


async def test_an_epoch_without_records_survives_by_its_file() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:3])
    log.leader_epochs.assign(9, 3)
    flush(disk, log)
    disk.power_cut()
    log = open_log(disk, checkpoint=Checkpoint(0, 3, 3))
    assert list(log.leader_epochs.starts) == [(1, 0), (9, 3)]


async def test_a_torn_line_of_leader_epochs_does_not_spoil_the_next() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:3])
    flush(disk, log)
    log.leader_epochs.assign(2, 3)
    flush(disk, log)
    disk.cut_short(PATH / "leader-epochs", lost_bytes=3)
    log = open_log(disk, checkpoint=Checkpoint(0, 3, 3))
    log.leader_epochs.assign(3, 3)
    flush_once(disk, log)
    again = open_log(disk, checkpoint=Checkpoint(0, 3, 3))
    assert list(again.leader_epochs.starts) == [(1, 0), (3, 3)]


async def test_an_epoch_that_a_killed_process_left_in_memory_is_made_durable_with_its_records() -> None:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES[:3])
    log.flush_target()
    disk.kill()
    log = open_log(disk)
    flush(disk, log)
    disk.power_cut()
    log = open_log(disk, checkpoint=Checkpoint(0, 3, 3))
    assert not log.defects
    assert list(log.leader_epochs.starts) == [(1, 0)]
