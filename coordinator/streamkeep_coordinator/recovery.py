"""What the data directory says at the start: who this is, the image of its snapshot, and the log behind it.

A directory that is damaged is not repaired by guessing, and does not take part as what it was: its files are
put aside for the operator, and the coordinator comes back as somebody else, to be let in by the others.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from streamkeep_common.image import MAX_FEATURE_LEVEL, MIN_FEATURE_LEVEL, ClusterImage, SnapshotBuilder
from streamkeep_common.seams import Disk
from streamkeep_coordinator.raft import HardState, RaftLog
from streamkeep_coordinator.storage.directory import IDENTITY, DataDirectory
from streamkeep_coordinator.storage.errors import CorruptFileError, DataDirectoryError
from streamkeep_coordinator.storage.identity import BadIdentityError, Identity, unpack_identity
from streamkeep_coordinator.storage.storage import Recovered, Storage
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, QuorumMember, QuorumRecord

_DAMAGED = "damaged-"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`image` and its last entry's `term` are the snapshot's: the entries behind it may not be committed.

    `trouble` says in a sentence what was wrong with the directory; empty = nothing.
    """

    identity: Identity
    storage: Storage
    image: ClusterImage
    image_term: int
    log: RaftLog
    hard_state: HardState
    trouble: str = ""


def recover(disk: Disk, directory: DataDirectory, coordinator_id: int, address: str) -> Found:
    """Everything durable. `address` is this coordinator's own.

    DataDirectoryError says why the directory cannot be used at all, UnsupportedFeatureError that a newer
    version wrote it.
    """
    try:
        return _read(disk, directory.path, directory.open(coordinator_id), address)
    except CorruptFileError as error:
        identity = directory.quarantine(str(error))
        trouble = (
            f"{error}. Its files are in {directory.path} under {_DAMAGED}*: this coordinator starts empty"
        )
        _logger.error("the data of coordinator %d are damaged: %s", coordinator_id, trouble)
        return _read(disk, directory.path, identity, address, trouble)


def may_found(disk: Disk, path: Path) -> bool:
    """Whether nothing that was put aside as damaged may be what is left of a cluster.

    A coordinator that lost its data must not begin a new cluster by itself, as if there had been none.
    """
    damaged = [name for name in disk.list_directory(path) if name.startswith(_DAMAGED)]
    return all(_belonged_to_none(disk, path / name / IDENTITY) for name in damaged)


def _belonged_to_none(disk: Disk, path: Path) -> bool:
    if not disk.exists(path):
        return False
    try:
        return not unpack_identity(disk.read_file(path)).cluster_id
    except BadIdentityError:
        return False


def _read(disk: Disk, path: Path, identity: Identity, address: str, trouble: str = "") -> Found:
    storage = Storage(disk, path)
    found = storage.recover()
    hard_state = HardState(*found.hard_state)
    image, term = _image(found)
    _check_cluster(identity, image, found, path)
    quorum = image.quorum
    if quorum is None and _is_sole_voter(found, hard_state, identity, term):
        quorum = _quorum_of_one(identity, address)
    log = RaftLog(image.index, term, quorum, found.entries)
    return Found(
        identity=identity,
        storage=storage,
        image=image,
        image_term=term,
        log=log,
        hard_state=hard_state,
        trouble=trouble,
    )


def _image(found: Recovered) -> tuple[ClusterImage, int]:
    if found.snapshot is None:
        return ClusterImage(), 0
    builder = SnapshotBuilder()
    for chunk in found.snapshot_chunks:
        builder.add(chunk.records)
    return builder.finish(found.snapshot.index), found.snapshot.term


def _check_cluster(identity: Identity, image: ClusterImage, found: Recovered, path: Path) -> None:
    """Files of two directories were mixed, for what is damaged has no right checksum. A cluster's first entry
    says which one it is.
    """
    cluster_id = image.cluster_id
    if not cluster_id and found.entries and found.entries[0].index == 1:
        records = MetadataEntry.FromString(found.entries[0].data).records
        cluster_id = next((each.cluster.cluster_id for each in records if each.HasField("cluster")), "")
    if cluster_id not in ("", identity.cluster_id):
        raise DataDirectoryError(
            f"the log in {path} is of cluster {cluster_id}, and its {IDENTITY} of cluster "
            f"{identity.cluster_id}: put back the files that belong together, or choose an empty data_dir"
        )


def _is_sole_voter(found: Recovered, hard_state: HardState, identity: Identity, snapshot_term: int) -> bool:
    """The directory was written below feature level 2, when there was one coordinator and no word of it.

    Somebody who joins a cluster that was raised from that level has such a log, too, until it reads on. But
    who is sent a log follows its leader, and so gives it the vote of the term in which it stores an entry;
    a power cut may tear that vote off, and then only the format of the log is left to tell.
    """
    if any(entry.HasField("quorum") for entry in found.entries):
        return False
    last_term = found.entries[-1].term if found.entries else snapshot_term
    is_own = hard_state.vote == identity.coordinator_id
    return last_term > 0 and (is_own or (hard_state.vote == 0 and found.is_first_format))


def _quorum_of_one(identity: Identity, address: str) -> QuorumRecord:
    member = QuorumMember(
        coordinator_id=identity.coordinator_id,
        directory_id=identity.directory_id,
        address=address,
        voter=True,
        min_feature_level=MIN_FEATURE_LEVEL,
        max_feature_level=MAX_FEATURE_LEVEL,
    )
    return QuorumRecord(cluster_epoch=identity.cluster_epoch, members=[member])
