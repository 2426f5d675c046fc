from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest

from streamkeep_coordinator.storage.directory import DataDirectory
from streamkeep_coordinator.storage.errors import DataDirectoryError
from tests.sim.disk import SimDisk

DIRECTORY = Path("/var/lib/streamkeep")


def new_disk() -> SimDisk:
    return SimDisk(random.Random(1))


def test_a_new_directory_becomes_that_of_a_new_cluster_and_stays_so() -> None:
    disk = new_disk()
    first = DataDirectory(disk, DIRECTORY)
    identity = first.open(1, "cluster-a")
    first.close()
    assert (identity.cluster_id, identity.coordinator_id) == ("cluster-a", 1)
    assert DataDirectory(disk, DIRECTORY).open(1, "cluster-b") == identity


def test_a_directory_in_use_is_refused() -> None:
    disk = new_disk()
    DataDirectory(disk, DIRECTORY).open(1, "cluster-a")
    with pytest.raises(DataDirectoryError, match="in use by another coordinator process"):
        DataDirectory(disk, DIRECTORY).open(1, "cluster-a")


def test_the_lock_ends_with_the_process() -> None:
    disk = new_disk()
    DataDirectory(disk, DIRECTORY).open(1, "cluster-a")
    disk.kill()
    assert DataDirectory(disk, DIRECTORY).open(1, "x").cluster_id == "cluster-a"


def test_another_coordinators_directory_is_refused() -> None:
    disk = new_disk()
    first = DataDirectory(disk, DIRECTORY)
    first.open(1, "cluster-a")
    first.close()
    with pytest.raises(DataDirectoryError, match="belongs to coordinator 1, and this is coordinator 2"):
        DataDirectory(disk, DIRECTORY).open(2, "cluster-a")


def test_a_log_without_an_identity_is_never_taken_for_a_new_cluster() -> None:
    disk = new_disk()
    disk.make_directories(DIRECTORY)
    disk.open(DIRECTORY / "log-00000000000000000001.wal", create=True)
    with pytest.raises(DataDirectoryError, match=r"holds log-0+1\.wal but no identity\.json"):
        DataDirectory(disk, DIRECTORY).open(1, "cluster-a")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b'{"cluster_id": "x"}', b"\xff\xfe"])
def test_a_damaged_identity_is_named(content: bytes) -> None:
    disk = new_disk()
    disk.make_directories(DIRECTORY)
    disk.write_file(DIRECTORY / "identity.json", content)
    with pytest.raises(DataDirectoryError, match=r"identity\.json is damaged"):
        DataDirectory(disk, DIRECTORY).open(1, "cluster-a")


def test_an_unwritable_directory_is_named_with_the_systems_reason() -> None:
    disk = new_disk()
    disk.fail("write", error=errno.EACCES, under=DIRECTORY)
    with pytest.raises(DataDirectoryError, match="cannot be used: Permission denied"):
        DataDirectory(disk, DIRECTORY).open(1, "cluster-a")


def test_a_new_directory_survives_a_power_cut_with_all_its_parents() -> None:
    disk = new_disk()
    DataDirectory(disk, DIRECTORY).open(1, "cluster-a")
    disk.power_cut()
    assert DataDirectory(disk, DIRECTORY).open(1, "x").cluster_id == "cluster-a"
