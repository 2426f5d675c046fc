from __future__ import annotations

import errno
import json
import random
from functools import partial
from pathlib import Path

import pytest

from streamkeep_coordinator.storage.directory import DataDirectory, Identity
from streamkeep_coordinator.storage.errors import CorruptFileError, DataDirectoryError
from streamkeep_coordinator.storage.frame import pack_frame
from streamkeep_coordinator.storage.hard_state import HardState
from streamkeep_coordinator.storage.storage import Storage
from tests.sim.disk import SimDisk
from tests.unit.coordinator.storage.directories import crash_at_sync, entries, entry

DIRECTORY = Path("/var/lib/streamkeep")
CLUSTER = "c" * 22


def new_disk(seed: int = 1) -> SimDisk:
    return SimDisk(random.Random(seed))


def directory(disk: SimDisk, seed: int = 0) -> DataDirectory:
    return DataDirectory(disk, DIRECTORY, random.Random(seed))


def formatted(disk: SimDisk) -> Identity:
    """A directory of a cluster with three entries and a vote; nobody has it open any more."""
    first = directory(disk)
    first.open(1)
    storage = Storage(disk, DIRECTORY)
    storage.recover()
    identity = first.format(CLUSTER, 1)
    storage.write(hard_state=HardState(1, 1, 2), entries=entries(1, 3))
    disk.kill()
    return identity


def test_a_new_directory_is_of_no_cluster_until_it_is_formatted() -> None:
    disk = new_disk()
    first = directory(disk)
    identity = first.open(1)
    assert (identity.cluster_id, identity.cluster_epoch, identity.coordinator_id) == ("", 0, 1)
    assert len(identity.directory_id) == 16
    assert first.format(CLUSTER, 4) == Identity(1, identity.directory_id, CLUSTER, 4)
    first.close()
    assert directory(disk, seed=9).open(1) == Identity(1, identity.directory_id, CLUSTER, 4)


def test_an_emptied_disk_is_somebody_else() -> None:
    disk = new_disk()
    identity = formatted(disk)
    disk.remove_tree(DIRECTORY)
    after = directory(disk, seed=2).open(1)
    assert after.directory_id != identity.directory_id
    assert after.cluster_id == ""


def test_a_directory_in_use_is_refused() -> None:
    disk = new_disk()
    directory(disk).open(1)
    with pytest.raises(DataDirectoryError, match="in use by another coordinator process"):
        directory(disk).open(1)


def test_the_lock_ends_with_the_process() -> None:
    disk = new_disk()
    identity = directory(disk).open(1)
    disk.kill()
    assert directory(disk).open(1) == identity


def test_another_coordinators_directory_is_refused() -> None:
    disk = new_disk()
    formatted(disk)
    with pytest.raises(DataDirectoryError, match="belongs to coordinator 1, and this is coordinator 2"):
        directory(disk).open(2)
    directory(disk).open(1)


def test_a_log_without_an_identity_is_damage() -> None:
    disk = new_disk()
    formatted(disk)
    disk.remove_file(DIRECTORY / "identity.json")
    with pytest.raises(CorruptFileError, match=r"identity\.json .* missing, and log-0+1\.wal is there"):
        directory(disk).open(1)


def test_a_strangers_directory_is_refused_and_not_touched() -> None:
    disk = new_disk()
    disk.make_directories(DIRECTORY)
    disk.write_file(DIRECTORY / "thesis.txt", b"years of work")
    with pytest.raises(DataDirectoryError, match=r"holds thesis\.txt but no identity\.json") as raised:
        directory(disk).open(1)
    assert not isinstance(raised.value, CorruptFileError)
    assert disk.read_file(DIRECTORY / "thesis.txt") == b"years of work"


@pytest.mark.parametrize("content", [b"", b"{", b"x" * 10_000])
def test_a_damaged_identity_is_named(content: bytes) -> None:
    disk = new_disk()
    formatted(disk)
    disk.write_file(DIRECTORY / "identity.json", content)
    with pytest.raises(CorruptFileError, match=r"identity\.json is damaged"):
        directory(disk).open(1)


def test_a_clusters_directory_without_marks_is_damaged_even_if_it_has_no_log() -> None:
    disk = new_disk()
    first = directory(disk)
    first.open(1)
    first.format(CLUSTER, 1)
    first.close()
    disk.remove_file(DIRECTORY / "marks")
    with pytest.raises(CorruptFileError, match=r"marks .* missing"):
        directory(disk).open(1)


def test_the_log_of_an_interrupted_birth_is_not_believed() -> None:
    disk = new_disk()
    directory(disk).open(1)
    storage = Storage(disk, DIRECTORY)
    storage.recover()
    storage.write(hard_state=HardState(1, 0, 0), entries=[entry(1)])
    disk.kill()
    again = directory(disk)
    with pytest.raises(CorruptFileError, match="the birth of one was interrupted"):
        again.open(1)
    assert again.quarantine("interrupted").cluster_id == ""


def test_an_unwritable_directory_is_named_with_the_systems_reason() -> None:
    disk = new_disk()
    disk.fail("write", error=errno.EACCES, under=DIRECTORY)
    with pytest.raises(DataDirectoryError, match="cannot be used: Permission denied"):
        directory(disk).open(1)


def test_a_new_directory_survives_a_power_cut_with_all_its_parents() -> None:
    disk = new_disk()
    identity = directory(disk).open(1)
    disk.power_cut()
    assert directory(disk).open(1) == identity


def test_a_new_epoch_is_remembered() -> None:
    disk = new_disk()
    identity = formatted(disk)
    first = directory(disk)
    first.open(1)
    first.begin_epoch(2)
    disk.power_cut()
    assert directory(disk).open(1) == Identity(1, identity.directory_id, CLUSTER, 2)


# --- quarantine ---


def test_damaged_files_are_kept_with_the_reason_and_the_directory_is_somebody_else() -> None:
    disk = new_disk()
    identity = formatted(disk)
    names = [name for name in disk.list_directory(DIRECTORY) if name != "lock"]
    again = directory(disk, seed=5)
    again.open(1)
    after = again.quarantine("a bit was flipped")
    assert (after.cluster_id, after.directory_id != identity.directory_id) == ("", True)
    assert disk.list_directory(DIRECTORY) == ["damaged-1", "identity.json", "lock"]
    assert disk.list_directory(DIRECTORY / "damaged-1") == sorted([*names, "reason.txt"])
    assert disk.read_file(DIRECTORY / "damaged-1" / "reason.txt") == b"a bit was flipped\n"


def test_a_directory_can_be_damaged_again() -> None:
    disk = new_disk()
    formatted(disk)
    again = directory(disk, seed=5)
    again.open(1)
    ids = {again.quarantine("once").directory_id, again.quarantine("twice").directory_id}
    assert len(ids) == 2
    assert disk.list_directory(DIRECTORY)[:2] == ["damaged-1", "damaged-2"]


@pytest.mark.parametrize("moment", range(16))
def test_no_crash_within_a_quarantine_leaves_the_old_name_with_part_of_what_it_promised(moment: int) -> None:
    for seed in range(12):
        disk = new_disk(seed)
        identity = formatted(disk)
        again = directory(disk, seed=7)
        again.open(1)
        crash_at_sync(disk, moment, partial(again.quarantine, "damaged"))
        after = directory(disk, seed=8)
        try:
            found = after.open(1)
        except CorruptFileError:
            found = after.quarantine("damaged")
        if found.directory_id == identity.directory_id:
            recovered = Storage(disk, DIRECTORY).recover()
            assert recovered.entries == entries(1, 3)
            assert recovered.hard_state == HardState(1, 1, 2)
        else:
            assert found.cluster_id == ""
            names = disk.list_directory(DIRECTORY)
            assert not [name for name in names if name.startswith(("log-", "snapshot-", "marks"))]


# --- the format before ---


def old_directory(disk: SimDisk, *frames: bytes) -> None:
    """As the first version made it."""
    disk.make_directories(DIRECTORY)
    identity = {"cluster_id": CLUSTER, "coordinator_id": 1, "format": 1}
    disk.write_file(DIRECTORY / "identity.json", json.dumps(identity).encode())
    file = disk.open(DIRECTORY / "log-00000000000000000001.wal", create=True)
    file.append(frames)
    file.sync()
    disk.file_system(DIRECTORY).sync()


def old_frames(last: int) -> list[bytes]:
    """Each entry flushed by itself, with the seal that followed."""
    frames = []
    for index in range(1, last + 1):
        frames += [pack_frame(index, 1, index - 1, entry(index).data), pack_frame(index, 1, index)]
    return frames


def test_a_directory_of_the_first_format_goes_on_as_what_it_was() -> None:
    disk = new_disk()
    old_directory(disk, *old_frames(3))
    first = directory(disk)
    identity = first.open(1)
    assert (identity.cluster_id, identity.cluster_epoch, identity.format) == (CLUSTER, 1, 2)
    storage = Storage(disk, DIRECTORY)
    found = storage.recover()
    assert found.entries == entries(1, 3)
    assert found.hard_state == HardState(1, 0, 0)
    storage.write(hard_state=HardState(2, 1, 3), truncate_from=3, entries=[entry(3, 2)])
    disk.power_cut()
    assert directory(disk, seed=3).open(1) == identity
    after = Storage(disk, DIRECTORY).recover()
    assert after.entries == [*entries(1, 2), entry(3, 2)]
    assert after.hard_state == HardState(2, 1, 3)


@pytest.mark.parametrize("torn", [b"", pack_frame(4, 1, 3, entry(4).data)[:50]])
def test_a_segment_that_the_version_before_had_only_begun_is_no_damage(torn: bytes) -> None:
    disk = new_disk()
    old_directory(disk, *old_frames(3))
    disk.open(DIRECTORY / "log-00000000000000000004.wal", create=True).append([torn])
    directory(disk).open(1)
    assert Storage(disk, DIRECTORY).recover().entries == entries(1, 3)


@pytest.mark.parametrize("moment", range(8))
def test_an_interrupted_upgrade_begins_again(moment: int) -> None:
    disk = new_disk()
    old_directory(disk, *old_frames(3))
    crash_at_sync(disk, moment, lambda: directory(disk).open(1))
    identity = directory(disk).open(1)
    assert (identity.cluster_id, identity.format) == (CLUSTER, 2)
    assert Storage(disk, DIRECTORY).recover().entries == entries(1, 3)


def test_damage_to_a_log_of_the_first_format_is_named() -> None:
    disk = new_disk()
    old_directory(disk, *old_frames(3))
    directory(disk).open(1)
    disk.flip_bit(DIRECTORY / "log-00000000000000000001.wal", 60, 3)
    with pytest.raises(CorruptFileError, match=r"log-0+1\.wal is damaged at byte 0"):
        Storage(disk, DIRECTORY).recover()
