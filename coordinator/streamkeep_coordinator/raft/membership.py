"""Who belongs to the quorum in effect, and which quorum may follow it (thesis chapter 4).

One voter of difference at a time, so that every majority before shares a voter with every majority after
(4.1). A member is an id AND a data directory: whoever comes back with an emptied disk is somebody else.
"""

from __future__ import annotations

from streamkeep_coordinator.raft.errors import QuorumChangeError
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord


class Members:
    """A quorum record as the rules ask for it. Without a record: nobody."""

    def __init__(self, quorum: QuorumRecord | None) -> None:
        members = quorum.members if quorum is not None else ()
        self.by_id: dict[int, QuorumMember] = {each.coordinator_id: each for each in members}
        self.voters: tuple[int, ...] = tuple(sorted(each for each in self.by_id if self.by_id[each].voter))
        self._directories = {each.coordinator_id: each.directory_id for each in members}

    def lists(self, coordinator_id: int, directory_id: bytes) -> bool:
        return self._directories.get(coordinator_id) == directory_id

    def is_voter(self, coordinator_id: int, directory_id: bytes) -> bool:
        return self.lists(coordinator_id, directory_id) and self.by_id[coordinator_id].voter

    def directory_id(self, coordinator_id: int) -> bytes:
        return self._directories[coordinator_id]


def check_change(old: QuorumRecord | None, new: QuorumRecord) -> None:
    """QuorumChangeError if `new` may not be the next quorum after `old`."""
    ids = [each.coordinator_id for each in new.members]
    if ids != sorted(set(ids)) or not all(ids):
        raise QuorumChangeError("members must be listed once each, by id")
    if any(len(each.directory_id) != 16 for each in new.members):
        raise QuorumChangeError("a member without a data directory")
    if not _voters(new):
        raise QuorumChangeError("a quorum needs a voter")
    if old is not None and old.cluster_epoch != new.cluster_epoch:
        raise QuorumChangeError("the cluster's epoch changes only when it is recovered by force")
    if old is not None and _voters(old) and len(_voters(old) ^ _voters(new)) > 1:
        raise QuorumChangeError("only one voter at a time may come or go")


def _voters(quorum: QuorumRecord) -> set[tuple[int, bytes]]:
    return {(each.coordinator_id, each.directory_id) for each in quorum.members if each.voter}
