"""What a directory remembers of its logs."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from streamkeep_broker.log.checkpoints import Checkpoint, read_checkpoints, write_checkpoints
from streamkeep_broker.log.sealed_text import BrokenSealError, seal, unseal
from tests.sim.disk import SimDisk

ROOT = Path("/data")


def make_disk(seed: int = 1) -> SimDisk:
    disk = SimDisk(random.Random(seed))
    disk.make_directories(ROOT)
    disk.sync_directory(Path("/"))
    return disk


def test_checkpoints_are_read_as_they_were_written() -> None:
    disk = make_disk()
    written = {"flights-0.0a": Checkpoint(1, 20, 15), "flights-1.0a": Checkpoint(0, 0, 0)}
    write_checkpoints(disk, ROOT, written)
    assert read_checkpoints(disk, ROOT) == written


def test_a_directory_without_checkpoints_has_none() -> None:
    assert read_checkpoints(make_disk(), ROOT) == {}


def test_a_power_cut_leaves_the_old_checkpoints_or_the_new_ones() -> None:
    old, new = {"t-0": Checkpoint(0, 1, 1)}, {"t-0": Checkpoint(0, 2, 2)}
    for seed in range(20):
        disk = make_disk(seed)
        write_checkpoints(disk, ROOT, old)
        write_checkpoints(disk, ROOT, new)
        disk.power_cut()
        assert read_checkpoints(disk, ROOT) == new


@pytest.mark.parametrize("byte", range(0, 120, 7))
def test_a_flipped_bit_is_noticed(byte: int) -> None:
    disk = make_disk()
    write_checkpoints(disk, ROOT, {"flights-0.0a": Checkpoint(1, 20, 15)})
    disk.flip_bit(ROOT / "checkpoint", byte % disk.file_size(ROOT / "checkpoint"), 2)
    with pytest.raises(BrokenSealError):
        read_checkpoints(disk, ROOT)


@pytest.mark.parametrize("lines", [[], ["another title"], ["streamkeep checkpoint 1"]])
def test_a_whole_file_of_another_kind_is_refused(lines: list[str]) -> None:
    disk = make_disk()
    disk.write_file(ROOT / "checkpoint", seal(lines))
    with pytest.raises(BrokenSealError):
        read_checkpoints(disk, ROOT)


@pytest.mark.parametrize("line", ["name", "name 1 2", "name 1 2 x", "name 1 2 -3", "name 1 2 3 4"])
def test_a_line_that_is_not_a_checkpoint_is_refused(line: str) -> None:
    disk = make_disk()
    write_checkpoints(disk, ROOT, {})
    title = unseal(disk.read_file(ROOT / "checkpoint"))[0]
    disk.write_file(ROOT / "checkpoint", seal([title, line]))
    with pytest.raises(BrokenSealError, match="three numbers"):
        read_checkpoints(disk, ROOT)


@pytest.mark.parametrize("data", [b"", b"crc32c 00000000", b"text\ncrc32c 00000000\n", b"\xff\xfe"])
def test_text_without_its_seal_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenSealError):
        unseal(data)


def test_sealed_bytes_that_are_no_text_are_broken() -> None:
    good = seal(["abc"])
    assert unseal(good) == ["abc"]
    with pytest.raises(BrokenSealError):
        unseal(good.replace(b"abc", b"\xff\xff\xff"))
