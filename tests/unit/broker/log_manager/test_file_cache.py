"""Any number of log files share a bounded number of descriptors."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from streamkeep_broker.log.file_cache import FileCache
from tests.sim.disk import SimDisk

ROOT = Path("/data")


@pytest.fixture
def disk() -> SimDisk:
    disk = SimDisk(random.Random(1))
    disk.make_directories(ROOT)
    return disk


def test_ten_thousand_files_that_nobody_uses_take_no_descriptor(disk: SimDisk) -> None:
    cache = FileCache(disk, capacity=10)
    files = [cache.open(ROOT / str(number), create=True) for number in range(10_000)]
    assert disk.open_files == cache.open_files == 0
    assert len(files) == 10_000


def test_synced_files_beyond_the_capacity_lose_their_descriptor_oldest_first(disk: SimDisk) -> None:
    cache = FileCache(disk, capacity=3)
    files = [cache.open(ROOT / str(number), create=True) for number in range(10)]
    for file in files:
        file.append([b"data"])
        file.sync()
    assert disk.open_files == 3
    assert [file.opened is not None for file in files] == [False] * 7 + [True] * 3
    assert [file.read(0, 10) for file in files] == [b"data"] * 10
    assert disk.open_files == 3


def test_files_that_were_written_and_not_synced_are_the_last_to_lose_their_descriptor(disk: SimDisk) -> None:
    cache = FileCache(disk, capacity=3)
    written, read = cache.open(ROOT / "written", create=True), cache.open(ROOT / "read", create=True)
    written.append([b"data"])
    assert read.read(0, 1) == b""
    for number in range(2):
        cache.open(ROOT / str(number), create=True).append([b"data"])
    assert written.opened is not None
    assert read.opened is None
    assert not written.lost_unsynced


def test_ten_thousand_written_files_stay_within_the_bound_and_say_what_they_lost(disk: SimDisk) -> None:
    cache = FileCache(disk, capacity=100)
    files = [cache.open(ROOT / str(number), create=True) for number in range(10_000)]
    for file in files:
        file.append([b"data"])
    assert disk.open_files == 100
    assert [file.lost_unsynced for file in files] == [True] * 9_900 + [False] * 100
    disk.file_system(ROOT).sync()
    for file in files:
        file.mark_synced(file.version)
    assert not any(file.lost_unsynced for file in files)


def test_a_sync_covers_only_what_was_written_before_it_began(disk: SimDisk) -> None:
    cache = FileCache(disk, capacity=1)
    file, other = cache.open(ROOT / "log", create=True), cache.open(ROOT / "other", create=True)
    file.append([b"one"])
    captured = file.version
    file.append([b"two"])
    file.mark_synced(captured)
    other.append([b"x"])
    assert file.lost_unsynced
    file.mark_synced(captured)
    assert file.lost_unsynced
    file.mark_synced(file.version)
    assert not file.lost_unsynced


def test_a_file_that_failed_to_sync_is_still_unsynced(disk: SimDisk) -> None:
    cache = FileCache(disk, capacity=1)
    file = cache.open(ROOT / "log", create=True)
    file.append([b"data"])
    disk.fail("sync")
    with pytest.raises(OSError):
        file.sync()
    disk.heal()
    cache.open(ROOT / "other", create=True).size()
    assert file.lost_unsynced


def test_a_file_that_is_closed_while_it_is_used_closes_after_the_use(disk: SimDisk) -> None:
    cache = FileCache(disk, capacity=1)
    file = cache.open(ROOT / "log", create=True)
    opened = cache.acquire(file)
    file.close()
    assert opened.read(0, 1) == b""
    cache.release(file)
    assert disk.open_files == 0
    with pytest.raises(ValueError, match="was closed"):
        file.read(0, 1)


def test_a_missing_file_shows_when_it_is_used(disk: SimDisk) -> None:
    cache = FileCache(disk, capacity=1)
    with pytest.raises(FileNotFoundError):
        cache.open(ROOT / "none").size()
    assert cache.open_files == 0


def test_a_file_is_created_once_and_never_brought_back_after_it_was_removed(disk: SimDisk) -> None:
    cache = FileCache(disk, capacity=1)
    file = cache.open(ROOT / "log", create=True)
    assert file.size() == 0
    disk.remove_file(ROOT / "log")
    cache.open(ROOT / "other", create=True).size()
    with pytest.raises(FileNotFoundError):
        file.size()


def test_cutting_a_file_makes_it_unsynced_as_writing_does(disk: SimDisk) -> None:
    cache = FileCache(disk, capacity=1)
    file = cache.open(ROOT / "log", create=True)
    file.append([b"data"])
    file.sync()
    file.truncate(1)
    cache.open(ROOT / "other", create=True).size()
    assert file.lost_unsynced
    assert file.read_cached(0, 10) == b"d"


def test_short_of_descriptors_it_gives_back_those_that_can_be_spared(disk: SimDisk) -> None:
    cache = FileCache(disk, capacity=100)
    disk.max_open_files = 5
    files = [cache.open(ROOT / str(number), create=True) for number in range(40)]
    for number, file in enumerate(files):
        file.append([b"data"])
        if number % 2:
            file.sync()
    assert disk.open_files <= 5
    assert [file.read(0, 4) for file in files] == [b"data"] * 40
    in_use = [cache.acquire(file) for file in files[:5]]
    with pytest.raises(OSError, match="Too many open files"):
        files[6].size()
    assert len(in_use) == 5
