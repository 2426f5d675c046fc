"""What the simulated disk can do that a real one does only on a bad day."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest

from tests.sim.disk import BOOT_ID, SimDisk

ROOT = Path("/data")


def make_disk(seed: int = 1) -> SimDisk:
    disk = SimDisk(random.Random(seed))
    disk.make_directories(ROOT)
    disk.sync_directory(Path("/"))
    return disk


def test_synced_bytes_survive_a_power_cut_and_others_leave_at_most_a_prefix() -> None:
    lengths = set()
    for seed in range(50):
        disk = make_disk(seed)
        file = disk.open(ROOT / "log", create=True)
        file.append([b"durable"])
        file.sync()
        disk.sync_directory(ROOT)
        file.append([b"one"])
        file.append([b"two"])
        disk.power_cut()
        left = disk.read_file(ROOT / "log")
        assert b"durableonetwo".startswith(left)
        assert left.startswith(b"durable")
        lengths.add(len(left))
    assert len(lengths) > 3


def test_a_name_survives_a_power_cut_only_for_sure_after_its_directory_was_synced() -> None:
    kept = 0
    for seed in range(50):
        disk = make_disk(seed)
        file = disk.open(ROOT / "log", create=True)
        file.append([b"data"])
        file.sync()
        disk.power_cut()
        kept += disk.exists(ROOT / "log")
    assert 0 < kept < 50


def test_a_rename_that_was_not_synced_may_be_undone() -> None:
    outcomes = set()
    for seed in range(50):
        disk = make_disk(seed)
        disk.make_directories(ROOT / "topic")
        disk.file_system(ROOT).sync()
        disk.rename(ROOT / "topic", ROOT / "gone")
        disk.power_cut()
        outcomes.add(tuple(disk.list_directory(ROOT)))
    assert ("topic",) in outcomes
    assert ("gone",) in outcomes


def test_syncing_the_file_system_makes_all_of_it_durable_but_not_another_one() -> None:
    disk = SimDisk(random.Random(3), mounts={Path("/a"): 1000, Path("/b"): 1000})
    for directory in ("/a", "/b"):
        disk.open(Path(directory, "log"), create=True).append([b"x" * 100])
    disk.file_system(Path("/a")).sync()
    disk.power_cut()
    assert disk.read_file(Path("/a/log")) == b"x" * 100
    assert not disk.exists(Path("/b/log")) or len(disk.read_file(Path("/b/log"))) <= 100
    assert disk.file_system(Path("/a")).id != disk.file_system(Path("/b")).id


def test_the_same_seed_leaves_the_same_bytes() -> None:
    def run() -> list[bytes]:
        disk = make_disk(7)
        for number in range(20):
            disk.open(ROOT / str(number), create=True).append([b"z" * 100])
        disk.power_cut()
        return [disk.read_file(ROOT / name) for name in disk.list_directory(ROOT)]

    assert run() == run()


def test_a_killed_process_loses_locks_and_descriptors_but_no_bytes() -> None:
    disk = make_disk()
    file = disk.open(ROOT / "log", create=True)
    file.append([b"data"])
    disk.lock(ROOT / "lock")
    boot_id = disk.read_file(BOOT_ID)
    disk.kill()
    assert disk.read_file(ROOT / "log") == b"data"
    disk.lock(ROOT / "lock")
    with pytest.raises(OSError, match="Bad file descriptor"):
        file.append([b"more"])
    assert disk.read_file(BOOT_ID) == boot_id


def test_a_power_cut_changes_the_boot_id() -> None:
    disk = make_disk()
    boot_id = disk.read_file(BOOT_ID)
    disk.power_cut()
    assert disk.read_file(BOOT_ID) != boot_id


def test_a_removal_that_was_not_synced_may_be_undone_and_the_file_is_whole_then() -> None:
    found = set()
    for seed in range(20):
        disk = make_disk(seed)
        disk.write_file(ROOT / "marks", b"old")
        disk.remove_file(ROOT / "marks")
        disk.power_cut()
        found.add(disk.read_file(ROOT / "marks") if disk.exists(ROOT / "marks") else None)
    assert found == {b"old", None}


def test_a_full_disk_takes_a_part_of_the_write_and_has_room_again_after_removal() -> None:
    disk = make_disk()
    disk.set_capacity(disk.used() + 10)
    file = disk.open(ROOT / "log", create=True)
    with pytest.raises(OSError) as failure:
        file.append([b"x" * 8, b"y" * 8])
    assert failure.value.errno == errno.ENOSPC
    assert file.size() == 10
    assert disk.file_system(ROOT).space().free == 0
    disk.remove_file(ROOT / "log")
    assert disk.file_system(ROOT).space().free == 0
    file.close()
    assert disk.file_system(ROOT).space().free == 10


def test_bytes_of_a_failed_sync_stay_lost_even_if_the_next_sync_succeeds() -> None:
    disk = make_disk()
    file = disk.open(ROOT / "log", create=True)
    disk.sync_directory(ROOT)
    file.append([b"lost"])
    disk.fail("sync", under=ROOT)
    with pytest.raises(OSError):
        file.sync()
    disk.heal()
    file.append([b"kept"])
    file.sync()
    disk.power_cut()
    assert disk.read_file(ROOT / "log") == b"\0\0\0\0kept"


def test_a_failure_is_met_only_under_its_path() -> None:
    disk = make_disk()
    disk.make_directories(ROOT / "other")
    good, bad = disk.open(ROOT / "other" / "log", create=True), disk.open(ROOT / "log", create=True)
    disk.fail("write", under=ROOT / "log")
    good.append([b"data"])
    with pytest.raises(OSError):
        bad.append([b"data"])
    disk.fail("read", under=ROOT / "log")
    with pytest.raises(OSError):
        bad.read(0, 1)


def test_a_flipped_bit_is_read_and_survives() -> None:
    disk = make_disk()
    disk.write_file(ROOT / "log", b"\0\0")
    disk.flip_bit(ROOT / "log", 1, 3)
    disk.power_cut()
    assert disk.read_file(ROOT / "log") == b"\0\x08"


def test_cached_reads_can_be_made_to_miss() -> None:
    disk = make_disk()
    file = disk.open(ROOT / "log", create=True)
    file.append([b"data"])
    assert file.read_cached(0, 4) == b"data"
    disk.cached = False
    assert file.read_cached(0, 4) is None
