"""What every disk promises, run on the real one, the simulated one and the one in memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from streamkeep_common.seams import Disk
from streamkeep_common.seams.memory.disk import MemoryDisk
from streamkeep_common.seams.real.clock import RealClock
from streamkeep_common.seams.real.disk import RealDisk
from tests.sim.disk import SimDisk

DISKS: dict[str, Callable[[], Disk]] = {
    "real": RealDisk,
    "simulated": lambda: SimDisk(random.Random(1)),
    "in-memory": lambda: MemoryDisk(RealClock(), random.Random(1)),
}


@pytest.fixture(params=DISKS)
def disk(request: pytest.FixtureRequest) -> Disk:
    return DISKS[request.param]()


@pytest.fixture
def root(disk: Disk, tmp_path: Path) -> Path:
    disk.make_directories(tmp_path)
    return tmp_path


def test_appended_bytes_are_read_back_from_any_position(disk: Disk, root: Path) -> None:
    file = disk.open(root / "log", create=True)
    file.append([b"abc", b"", b"defg"])
    file.append([b"h"])
    assert file.size() == 8
    assert file.read(0, 100) == b"abcdefgh"
    assert file.read(3, 2) == b"de"
    assert file.read(8, 10) == b""
    assert file.read(100, 10) == b""
    assert file.path == root / "log"
    file.close()


def test_more_buffers_than_one_system_call_takes_are_all_written(disk: Disk, root: Path) -> None:
    file = disk.open(root / "log", create=True)
    buffers = [index.to_bytes(4, "big") for index in range(3000)]
    file.append(buffers)
    assert file.read(0, 12001) == b"".join(buffers)
    file.close()


def test_a_cached_read_gives_all_the_bytes_or_none(disk: Disk, root: Path) -> None:
    file = disk.open(root / "log", create=True)
    file.append([b"x" * 10_000])
    assert file.read_cached(100, 50) in (b"x" * 50, None)
    assert file.read_cached(9_990, 50) in (b"x" * 10, None)
    file.close()


def test_a_missing_file_is_not_opened_unless_it_may_be_created(disk: Disk, root: Path) -> None:
    with pytest.raises(FileNotFoundError):
        disk.open(root / "log")
    disk.open(root / "log", create=True).close()
    disk.open(root / "log").close()


def test_opening_for_creation_keeps_what_is_there(disk: Disk, root: Path) -> None:
    for piece in (b"one", b"two"):
        file = disk.open(root / "log", create=True)
        file.append([piece])
        file.close()
    assert disk.read_file(root / "log") == b"onetwo"


def test_appends_go_to_the_end_after_a_cut(disk: Disk, root: Path) -> None:
    file = disk.open(root / "log", create=True)
    file.append([b"abcdef"])
    file.truncate(2)
    file.append([b"X"])
    file.sync()
    assert file.read(0, 10) == b"abX"
    assert disk.file_size(root / "log") == 3
    file.close()


@pytest.mark.parametrize("disk", ["real", "simulated"], indirect=True)  # memory does not fail
def test_a_write_that_fails_names_its_file(disk: Disk, root: Path) -> None:
    full = root / "full"
    if isinstance(disk, SimDisk):
        disk.set_capacity(8)
    else:
        full.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as failure:
        disk.open(full, create=True).append([b"longer than 8 bytes"])
    assert failure.value.filename == str(full)


def test_closing_twice_is_allowed_and_a_closed_file_is_refused(disk: Disk, root: Path) -> None:
    file = disk.open(root / "log", create=True)
    file.close()
    file.close()
    with pytest.raises(OSError):
        file.read(0, 1)


def test_a_small_file_is_replaced_whole_and_leaves_nothing_beside_it(disk: Disk, root: Path) -> None:
    disk.write_file(root / "small", b"first")
    disk.write_file(root / "small", b"2")
    assert disk.read_file(root / "small") == b"2"
    assert disk.list_directory(root) == ["small"]


def test_a_small_file_without_a_directory_is_an_error(disk: Disk, root: Path) -> None:
    with pytest.raises(FileNotFoundError):
        disk.write_file(root / "missing" / "small", b"data")
    with pytest.raises(FileNotFoundError):
        disk.read_file(root / "small")


def test_names_are_listed_in_order(disk: Disk, root: Path) -> None:
    for name in ("b", "a", "c"):
        disk.open(root / name, create=True).close()
    disk.make_directories(root / "aa" / "inner")
    disk.make_directories(root / "aa" / "inner")
    assert disk.list_directory(root) == ["a", "aa", "b", "c"]
    assert disk.list_directory(root / "aa") == ["inner"]
    with pytest.raises(FileNotFoundError):
        disk.list_directory(root / "missing")


def test_a_rename_replaces_a_file_and_moves_a_directory_with_its_contents(disk: Disk, root: Path) -> None:
    disk.write_file(root / "a", b"a")
    disk.write_file(root / "b", b"b")
    disk.rename(root / "a", root / "b")
    assert not disk.exists(root / "a")
    assert disk.read_file(root / "b") == b"a"
    disk.make_directories(root / "topic")
    disk.write_file(root / "topic" / "log", b"records")
    disk.rename(root / "topic", root / "topic.deleted")
    assert disk.read_file(root / "topic.deleted" / "log") == b"records"
    with pytest.raises(FileNotFoundError):
        disk.rename(root / "topic", root / "elsewhere")


def test_removing_what_is_not_there_does_nothing(disk: Disk, root: Path) -> None:
    disk.remove_file(root / "none")
    disk.remove_tree(root / "none")
    disk.make_directories(root / "tree" / "deep")
    disk.write_file(root / "tree" / "deep" / "file", b"data")
    disk.remove_tree(root / "tree")
    disk.write_file(root / "file", b"data")
    disk.remove_file(root / "file")
    assert disk.list_directory(root) == []


def test_a_removed_file_can_still_be_read_by_who_has_it_open(disk: Disk, root: Path) -> None:
    file = disk.open(root / "log", create=True)
    file.append([b"data"])
    disk.remove_file(root / "log")
    assert file.read(0, 4) == b"data"
    file.close()


def test_a_lock_is_refused_while_it_is_held(disk: Disk, root: Path) -> None:
    lock = disk.lock(root / "lock")
    with pytest.raises(BlockingIOError):
        disk.lock(root / "lock")
    lock.release()
    lock.release()
    disk.lock(root / "lock").release()


def test_directories_of_one_file_system_have_one_id_and_room(disk: Disk, root: Path) -> None:
    disk.make_directories(root / "a")
    first, second = disk.file_system(root), disk.file_system(root / "a")
    assert first.id == second.id
    assert 0 < first.space().free <= first.space().total
    first.sync()
    first.close()
    second.close()


def test_directories_and_files_can_be_synced(disk: Disk, root: Path) -> None:
    file = disk.open(root / "log", create=True)
    file.append([b"data"])
    file.sync()
    disk.sync_directory(root)
    file.close()
    with pytest.raises(FileNotFoundError):
        disk.sync_directory(root / "missing")


def test_the_time_of_the_last_write_is_known(disk: Disk, root: Path) -> None:
    disk.write_file(root / "file", b"data")
    assert disk.modified_ms(root / "file") > 1_000_000_000_000
    with pytest.raises(FileNotFoundError):
        disk.modified_ms(root / "none")


def test_the_boot_id_can_be_read(disk: Disk) -> None:
    assert len(disk.read_file(Path("/proc/sys/kernel/random/boot_id")).strip()) == 36
