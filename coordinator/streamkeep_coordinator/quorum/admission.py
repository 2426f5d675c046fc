"""Who may speak to this coordinator. Pure: a hello and what is known in, a refusal or nothing out."""

from __future__ import annotations

from enum import Enum

from streamkeep_common.errors import (
    ClusterMismatchError,
    RemovedError,
    StreamkeepError,
    WrongDirectoryError,
    to_proto,
)
from streamkeep_coordinator.storage.directory import Identity
from streamkeep_proto.v1.metadata_pb2 import QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftHello, RaftRefusal


class Admission(Enum):
    """What a hello that is not refused means."""

    MEMBER = "member"
    JOIN = "join"  # the speaker names this directory, which belongs to no cluster yet


def admit(
    hello: RaftHello, identity: Identity, quorum: QuorumRecord | None, quorum_index: int
) -> Admission | StreamkeepError:
    """Of a hello whose form is right. `quorum` is the newest that is known to be committed here,
    `quorum_index` its entry's index.

    A directory is what is spoken to: what an emptied disk promised under the same coordinator id, another
    directory must not stand in for.
    """
    if identity.cluster_id:
        mismatch = _mismatch(hello, identity)
        if mismatch is not None:
            return mismatch
    if hello.to_coordinator_id != identity.coordinator_id or hello.to_directory_id != identity.directory_id:
        return WrongDirectoryError(
            f"this is coordinator {identity.coordinator_id} with directory {identity.directory_id.hex()}; "
            f"meant was coordinator {hello.to_coordinator_id} with directory {hello.to_directory_id.hex()}"
        )
    if not identity.cluster_id:
        return Admission.JOIN
    if quorum is not None and hello.quorum_index < quorum_index and not _lists(quorum, hello):
        return RemovedError(f"coordinator {hello.coordinator_id} was removed from the quorum")
    return Admission.MEMBER


def refusal(error: StreamkeepError, identity: Identity) -> RaftRefusal:
    """The error as it is said on a stream, and who says it."""
    return RaftRefusal(
        error=to_proto(error),
        cluster_id=identity.cluster_id,
        cluster_epoch=identity.cluster_epoch,
        coordinator_id=identity.coordinator_id,
        directory_id=identity.directory_id,
    )


def _mismatch(hello: RaftHello, identity: Identity) -> ClusterMismatchError | None:
    if hello.cluster_id != identity.cluster_id:
        return ClusterMismatchError(f"this is a coordinator of cluster {identity.cluster_id}")
    if hello.cluster_epoch != identity.cluster_epoch:
        return ClusterMismatchError(
            f"the cluster is in epoch {identity.cluster_epoch} for this coordinator and in epoch "
            f"{hello.cluster_epoch} for the other: it was recovered by force meanwhile"
        )
    return None


def _lists(quorum: QuorumRecord, hello: RaftHello) -> bool:
    return any(
        (member.coordinator_id, member.directory_id) == (hello.coordinator_id, hello.directory_id)
        for member in quorum.members
    )
