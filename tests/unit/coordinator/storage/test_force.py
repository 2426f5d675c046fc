from __future__ import annotations

import random
from functools import partial

import pytest

from streamkeep_coordinator.storage.directory import DataDirectory
from streamkeep_coordinator.storage.errors import CannotRecoverError, CorruptFileError, DataDirectoryError
from streamkeep_coordinator.storage.force import ForcedRecovery, recover_by_force
from streamkeep_coordinator.storage.hard_state import HardState
from streamkeep_coordinator.storage.storage import Recovered, Storage
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, QuorumMember, QuorumRecord
from tests.sim.disk import SimDisk
from tests.unit.coordinator.storage.directories import DIRECTORY, SEGMENT, crash_at_sync, entry, new_disk

CLUSTER = "c" * 22


def member(number: int, directory_id: bytes, *, voter: bool = True) -> QuorumMember:
    address = f"host{number}:7101"
    return QuorumMember(coordinator_id=number, directory_id=directory_id, address=address, voter=voter)


def quorum(directory_id: bytes) -> QuorumRecord:
    others = [member(number, bytes([number]) * 16) for number in (1, 3)]
    return QuorumRecord(cluster_epoch=1, members=[others[0], member(2, directory_id), others[1]])


def lost_quorum(disk: SimDisk, *, is_member: bool = True) -> bytes:
    """Coordinator 2 of three, alone; it knows that entry 3 of 5 is committed. Its directory id."""
    directory = DataDirectory(disk, DIRECTORY, random.Random(0))
    directory_id = directory.open(2).directory_id
    storage = Storage(disk, DIRECTORY)
    storage.recover()
    first = entry(1, quorum=quorum(directory_id if is_member else bytes(16)))
    storage.write(hard_state=HardState(1, 1, 0), entries=[first])
    directory.format(CLUSTER, 1)
    storage.write(hard_state=HardState(4, 2, 3), entries=[entry(2), entry(3, 2), entry(4, 4), entry(5, 4)])
    disk.kill()
    return directory_id


def force(disk: SimDisk, *, address: str = "", dry_run: bool = False) -> ForcedRecovery:
    return recover_by_force(disk, DIRECTORY, random.Random(1), now_ms=77, address=address, dry_run=dry_run)


def opened(disk: SimDisk) -> tuple[int, Recovered]:
    """The epoch in the identity, and what the log has."""
    disk.kill()
    identity = DataDirectory(disk, DIRECTORY, random.Random(2)).open(2)
    assert identity.cluster_id == CLUSTER
    return identity.cluster_epoch, Storage(disk, DIRECTORY).recover()


def test_one_coordinator_becomes_the_whole_quorum_of_a_new_epoch_and_keeps_every_entry() -> None:
    disk = new_disk()
    directory_id = lost_quorum(disk)
    done = force(disk)
    assert (done.cluster_id, done.cluster_epoch, done.coordinator_id) == (CLUSTER, 2, 2)
    assert (done.address, done.term, done.last_index, done.uncommitted) == ("host2:7101", 5, 6, 2)
    assert [each.coordinator_id for each in done.former] == [1, 2, 3]

    epoch, found = opened(disk)
    assert epoch == 2
    assert found.hard_state == HardState(5, 2, 3)
    assert [(each.index, each.term) for each in found.entries] == [
        (1, 1),
        (2, 1),
        (3, 2),
        (4, 4),
        (5, 4),
        (6, 5),
    ]
    last = MetadataEntry.FromString(found.entries[-1].data)
    assert (last.index, last.term, last.time_ms) == (6, 5, 77)
    assert last.records[0].quorum == found.entries[-1].quorum
    assert found.entries[-1].quorum.cluster_epoch == 2
    [only] = found.entries[-1].quorum.members
    assert (only.coordinator_id, only.directory_id, only.voter) == (2, directory_id, True)


def test_another_address_can_be_given() -> None:
    disk = new_disk()
    lost_quorum(disk)
    assert force(disk, address="elsewhere:1").address == "elsewhere:1"
    assert opened(disk)[1].entries[-1].quorum.members[0].address == "elsewhere:1"


def test_a_dry_run_says_the_same_and_changes_nothing() -> None:
    disk = new_disk()
    lost_quorum(disk)
    before = {name: disk.read_file(DIRECTORY / name) for name in disk.list_directory(DIRECTORY)}
    planned = force(disk, dry_run=True)
    assert {name: disk.read_file(DIRECTORY / name) for name in disk.list_directory(DIRECTORY)} == before
    assert force(disk) == planned


def test_it_can_be_done_again() -> None:
    disk = new_disk()
    lost_quorum(disk)
    assert [force(disk).cluster_epoch for _ in range(3)] == [2, 3, 4]
    assert opened(disk)[0] == 4


@pytest.mark.parametrize("moment", range(12))
def test_a_crash_on_the_way_is_made_good_by_doing_it_again(moment: int) -> None:
    for seed in range(8):
        disk = new_disk(seed)
        lost_quorum(disk)
        crash_at_sync(disk, moment, partial(force, disk))
        epoch, found = opened(disk)
        newest = max(each.quorum.cluster_epoch for each in found.entries)
        assert newest <= epoch, "a quorum of a new epoch in a directory that greets with the old one"
        disk.kill()
        done = force(disk)
        epoch, found = opened(disk)
        assert epoch == done.cluster_epoch == found.entries[-1].quorum.cluster_epoch
        assert [each.index for each in found.entries[:5]] == [1, 2, 3, 4, 5]


def test_a_directory_in_use_is_refused() -> None:
    disk = new_disk()
    lost_quorum(disk)
    DataDirectory(disk, DIRECTORY, random.Random(3)).open(2)
    with pytest.raises(DataDirectoryError, match="in use by another coordinator process"):
        force(disk)


def test_a_directory_of_no_cluster_is_refused_and_stays_as_it_is() -> None:
    disk = new_disk()
    with pytest.raises(CannotRecoverError, match=r"it has no identity\.json\. Nothing was changed"):
        force(disk)
    assert disk.list_directory(DIRECTORY) == []
    DataDirectory(disk, DIRECTORY, random.Random(0)).open(2)
    disk.kill()
    with pytest.raises(CannotRecoverError, match="belongs to no cluster"):
        force(disk)


def test_a_learner_that_has_nothing_yet_is_refused() -> None:
    disk = new_disk()
    directory = DataDirectory(disk, DIRECTORY, random.Random(0))
    directory.open(2)
    directory.format(CLUSTER, 1)
    disk.kill()
    with pytest.raises(CannotRecoverError, match="knows no quorum"):
        force(disk)


def test_a_removed_coordinator_is_refused() -> None:
    disk = new_disk()
    lost_quorum(disk, is_member=False)
    with pytest.raises(CannotRecoverError, match="is no member of the quorum"):
        force(disk)


def test_a_damaged_directory_is_refused_with_file_and_byte() -> None:
    disk = new_disk()
    lost_quorum(disk)
    disk.flip_bit(SEGMENT, 150, 1)
    with pytest.raises(CorruptFileError, match=r"log-0+1\.wal is damaged at byte"):
        force(disk)
    disk.flip_bit(SEGMENT, 150, 1)
    force(disk)
