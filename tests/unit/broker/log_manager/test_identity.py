"""Nobody starts on a log directory that is not theirs, and the message says what to do."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest

from streamkeep_broker.log.identity import (
    Claim,
    DirectoryRefusedError,
    bind_to_cluster,
    claim,
    mark_clean,
    note_opened,
)
from streamkeep_common.errors import ClusterMismatchError
from streamkeep_common.seams.real.disk import RealDisk
from tests.sim.disk import SimDisk

ROOT = Path("/data/one")


def make_disk(seed: int = 1) -> SimDisk:
    return SimDisk(random.Random(seed))


def take(disk: SimDisk, *, broker_id: int = 1, seed: int = 1) -> Claim:
    return claim(disk, ROOT, broker_id=broker_id, rng=random.Random(seed))


def test_a_new_directory_gets_an_id_that_it_keeps() -> None:
    disk = make_disk()
    first = take(disk, seed=1)
    assert first.is_new
    assert len(first.identity.directory_id) == 16
    first.lock.release()
    second = take(disk, seed=2)
    assert not second.is_new
    assert second.identity.directory_id == first.identity.directory_id


def test_a_directory_in_use_is_refused() -> None:
    disk = make_disk()
    take(disk)
    with pytest.raises(DirectoryRefusedError, match=r"in use by another process\. Stop that broker"):
        take(disk)


def test_another_brokers_directory_is_refused_and_stays_free() -> None:
    disk = make_disk()
    take(disk, broker_id=1).lock.release()
    with pytest.raises(
        DirectoryRefusedError, match=r"belongs to broker 1, and this is broker 2\. Start it with id 1"
    ):
        take(disk, broker_id=2)
    take(disk, broker_id=1)


def test_another_clusters_directory_is_refused() -> None:
    disk = make_disk()
    identity = bind_to_cluster(disk, ROOT, take(disk).identity, "alpha", 1)
    assert bind_to_cluster(disk, ROOT, identity, "alpha", 1) is identity
    disk.kill()
    found = take(disk).identity
    assert found.cluster_id == "alpha"
    with pytest.raises(ClusterMismatchError, match="belongs to cluster alpha, not to beta"):
        bind_to_cluster(disk, ROOT, found, "beta", 1)


def test_a_directory_with_strange_files_is_refused_and_left_alone() -> None:
    disk = make_disk()
    disk.make_directories(ROOT)
    disk.write_file(ROOT / "thesis.txt", b"years of work")
    with pytest.raises(DirectoryRefusedError, match=r"'thesis.txt'.*not a log directory"):
        take(disk)
    assert disk.read_file(ROOT / "thesis.txt") == b"years of work"


def test_a_damaged_identity_is_refused() -> None:
    disk = make_disk()
    take(disk).lock.release()
    disk.flip_bit(ROOT / "identity", 40, 1)
    with pytest.raises(DirectoryRefusedError, match="identity is damaged"):
        take(disk)


def test_only_a_marked_stop_is_clean_and_only_once() -> None:
    disk = make_disk()
    take(disk)
    disk.kill()
    assert not take(disk).was_stopped_cleanly
    mark_clean(disk, ROOT)
    disk.kill()
    assert take(disk).was_stopped_cleanly
    disk.power_cut()
    assert not take(disk).was_stopped_cleanly


def test_a_restart_of_the_machine_is_noticed_until_the_logs_were_opened() -> None:
    disk = make_disk()
    take(disk)
    disk.kill()
    assert take(disk).same_boot
    disk.power_cut()
    assert not take(disk).same_boot
    disk.kill()
    claimed = take(disk)
    assert not claimed.same_boot, "the start before was cut off, and what is torn is torn still"
    opened = note_opened(disk, ROOT, claimed.identity)
    disk.kill()
    claimed = take(disk)
    assert claimed.same_boot
    assert note_opened(disk, ROOT, claimed.identity) is claimed.identity
    assert claimed.identity == opened


def test_a_power_cut_during_the_first_start_leaves_a_directory_that_can_be_claimed() -> None:
    for seed in range(30):
        disk = make_disk(seed)
        disk.fail("sync", under=ROOT / "identity.tmp")
        with pytest.raises(OSError):
            take(disk)
        disk.heal()
        disk.power_cut()
        assert len(take(disk).identity.directory_id) == 16


def test_a_full_disk_refuses_a_new_directory_but_not_an_old_one() -> None:
    disk = make_disk()
    disk.set_capacity(disk.used())
    with pytest.raises(DirectoryRefusedError, match="too full to be set up"):
        take(disk)
    disk.set_capacity(disk.used() + 10_000)
    take(disk)
    disk.set_capacity(disk.used())
    disk.power_cut()
    claimed = take(disk)
    assert not claimed.same_boot
    assert note_opened(disk, ROOT, claimed.identity) is claimed.identity


def test_a_full_disk_keeps_no_broker_from_a_cluster_at_a_new_epoch() -> None:
    disk = make_disk()
    identity = bind_to_cluster(disk, ROOT, take(disk).identity, "alpha", 1)
    disk.set_capacity(disk.used())
    assert bind_to_cluster(disk, ROOT, identity, "alpha", 2) is identity
    disk.set_capacity(disk.used() + 10_000)
    assert bind_to_cluster(disk, ROOT, identity, "alpha", 2).cluster_epoch == 2
    disk.kill()
    assert take(disk).identity.cluster_epoch == 2


def test_the_epoch_of_the_cluster_never_goes_back() -> None:
    disk = make_disk()
    identity = bind_to_cluster(disk, ROOT, take(disk).identity, "alpha", 2)
    assert bind_to_cluster(disk, ROOT, identity, "alpha", 1).cluster_epoch == 2


def test_a_directory_that_may_not_be_written_is_refused() -> None:
    disk = make_disk()
    disk.fail("write", error=errno.EROFS, under=ROOT)
    with pytest.raises(DirectoryRefusedError, match="cannot be written: Read-only file system"):
        take(disk)


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"")
    with pytest.raises(DirectoryRefusedError, match="cannot be written"):
        claim(RealDisk(), path, broker_id=1, rng=random.Random(1))


def test_a_broken_disk_is_not_mistaken_for_a_wrong_directory() -> None:
    disk = make_disk()
    take(disk)
    disk.kill()
    disk.fail("read", under=ROOT)
    with pytest.raises(OSError, match="Input/output error"):
        take(disk)
