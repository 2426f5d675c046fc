"""Recovery by force from a lost quorum: one coordinator's directory becomes a cluster of its own, offline.

For when more than half of the voters are gone for good. What this directory has is taken for what was
committed: it may lack the newest changes that the lost ones had, and keeps entries that were never committed.
The cluster keeps its id and gets a new epoch, so that whoever comes back from the old one is refused.

The identity gets the epoch first, then the log the quorum. A crash in between leaves a coordinator that
nobody talks to; doing it again makes it whole, with one more epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from streamkeep_common.image import MAX_FEATURE_LEVEL, MIN_FEATURE_LEVEL
from streamkeep_common.seams import Disk
from streamkeep_coordinator.storage.directory import IDENTITY, DataDirectory
from streamkeep_coordinator.storage.errors import CannotRecoverError, CorruptFileError
from streamkeep_coordinator.storage.identity import (
    BadIdentityError,
    Identity,
    UnknownFormatError,
    unpack_identity,
)
from streamkeep_coordinator.storage.storage import Recovered, Storage
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, MetadataRecord, QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class ForcedRecovery:
    """What was done, or would be. `uncommitted` entries were kept that may never have been committed."""

    cluster_id: str
    cluster_epoch: int
    coordinator_id: int
    address: str
    term: int
    last_index: int
    committed_index: int
    former: list[QuorumMember]

    @property
    def uncommitted(self) -> int:
        """Entries that this coordinator did not know to be committed."""
        return self.last_index - 1 - self.committed_index


def recover_by_force(
    disk: Disk, path: Path, rng: Random, *, now_ms: int, address: str = "", dry_run: bool = False
) -> ForcedRecovery:
    """Make the coordinator of this directory the only voter of a new epoch; `address` "" = as before.

    CannotRecoverError says why it cannot be done with this directory, CorruptFileError what is damaged in it,
    DataDirectoryError that it is in use.
    """
    coordinator_id = _coordinator_id(disk, path)
    directory = DataDirectory(disk, path, rng)
    storage = Storage(disk, path)
    try:
        identity = directory.open(coordinator_id)
        planned, entry = _plan(identity, storage.examine(), address, now_ms, path)
        if not dry_run:
            storage.recover()
            directory.begin_epoch(planned.cluster_epoch)
            hard_state = (planned.term, planned.coordinator_id, planned.committed_index)
            storage.write(hard_state=hard_state, entries=[entry])
        return planned
    finally:
        storage.close()
        directory.close()


def _coordinator_id(disk: Disk, path: Path) -> int:
    """Of a formatted directory of this format; looked at before anything is made in it."""
    file = path / IDENTITY
    if not disk.exists(file):
        raise CannotRecoverError(f"{path} is no coordinator's data directory: it has no {IDENTITY}")
    try:
        identity = unpack_identity(disk.read_file(file))
    except BadIdentityError as error:
        raise CorruptFileError(file, 0, str(error)) from None
    except UnknownFormatError as error:
        raise CannotRecoverError(f"{file} is another version's: {error}") from None
    if not identity.cluster_id:
        raise CannotRecoverError(f"{path} belongs to no cluster: there is nothing in it to recover")
    if identity.format == 1:
        raise CannotRecoverError(f"{path} is of a cluster with one coordinator: just start it")
    return identity.coordinator_id


def _plan(
    identity: Identity, found: Recovered, address: str, now_ms: int, path: Path
) -> tuple[ForcedRecovery, RaftEntry]:
    former = _newest_quorum(identity, found, path)
    own = (identity.coordinator_id, identity.directory_id)
    before = [each for each in former.members if (each.coordinator_id, each.directory_id) == own]
    if not before:
        raise CannotRecoverError(
            f"coordinator {identity.coordinator_id} with this directory is no member of the quorum that its "
            "log knows last: take the directory of one that is"
        )
    last_index, last_term = _last(found)
    planned = ForcedRecovery(
        cluster_id=identity.cluster_id,
        cluster_epoch=max(identity.cluster_epoch, former.cluster_epoch) + 1,
        coordinator_id=identity.coordinator_id,
        address=address or before[0].address,
        term=max(found.hard_state.term, last_term) + 1,
        last_index=last_index + 1,
        committed_index=max(found.hard_state.committed_index, found.snapshot.index if found.snapshot else 0),
        former=list(former.members),
    )
    return planned, _entry(planned, identity.directory_id, now_ms)


def _entry(planned: ForcedRecovery, directory_id: bytes, now_ms: int) -> RaftEntry:
    member = QuorumMember(
        coordinator_id=planned.coordinator_id,
        directory_id=directory_id,
        address=planned.address,
        voter=True,
        min_feature_level=MIN_FEATURE_LEVEL,
        max_feature_level=MAX_FEATURE_LEVEL,
    )
    quorum = QuorumRecord(cluster_epoch=planned.cluster_epoch, members=[member])
    data = MetadataEntry(
        index=planned.last_index, term=planned.term, time_ms=now_ms, records=[MetadataRecord(quorum=quorum)]
    )
    return RaftEntry(
        index=planned.last_index, term=planned.term, data=data.SerializeToString(), quorum=quorum
    )


def _newest_quorum(identity: Identity, found: Recovered, path: Path) -> QuorumRecord:
    quorum = None
    for record in _records(found):
        if record.HasField("quorum"):
            quorum = record.quorum
        elif record.HasField("cluster") and record.cluster.cluster_id != identity.cluster_id:
            raise CannotRecoverError(
                f"the log in {path} is of cluster {record.cluster.cluster_id}, and the directory of "
                f"{identity.cluster_id}"
            )
    if quorum is None:
        raise CannotRecoverError(
            f"the log in {path} knows no quorum: it is empty, or that of a cluster with one coordinator"
        )
    return quorum


def _records(found: Recovered) -> Iterator[MetadataRecord]:
    for chunk in found.snapshot_chunks:
        yield from chunk.records
    for entry in found.entries:
        yield from MetadataEntry.FromString(entry.data).records


def _last(found: Recovered) -> tuple[int, int]:
    if found.entries:
        return found.entries[-1].index, found.entries[-1].term
    assert found.snapshot is not None, "a quorum was found"
    return found.snapshot.index, found.snapshot.term
