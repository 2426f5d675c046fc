"""Whether this coordinator is in the quorum, as far as it can know: by its log and by what others say."""

from __future__ import annotations

from collections.abc import Callable

from streamkeep_common.errors import from_proto
from streamkeep_coordinator.quorum.driver import Driver
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftRefusal


def listed(quorum: QuorumRecord | None, coordinator_id: int) -> QuorumMember | None:
    """The member of that id, if there is one."""
    members = () if quorum is None else quorum.members
    return next((each for each in members if each.coordinator_id == coordinator_id), None)


class OwnMembership:
    """`silent_s` gives the seconds since a coordinator with that directory was heard of.

    While a leader is heard nothing is concluded: entries that are still to come may add this coordinator.
    """

    def __init__(
        self,
        driver: Driver,
        local: LocalCoordinator,
        silent_s: Callable[[int, bytes], float],
        silence_s: float,
    ) -> None:
        self._driver = driver
        self._local = local
        self._silent_s = silent_s
        self._silence_s = silence_s
        self._was_member = False

    def quorum_changed(self, quorum: QuorumRecord | None) -> None:
        """The newest quorum in the log is another one now."""
        own = listed(quorum, self._local.id)
        if own is not None and own.directory_id == self._local.directory_id:
            self._was_member = True
            self._local.address = self._local.address or own.address

    def refused(self, refusal: RaftRefusal) -> None:
        """A member does not take our messages."""
        if refusal.error.code == errors_pb2.REMOVED and not self._hears_leader():
            self._local.note_removed(from_proto(refusal.error).message)

    def tick(self) -> None:
        """Look whether the own log says that this coordinator is out."""
        if self._was_member and self._is_listed_nowhere() and not self._hears_leader():
            self._local.note_removed("the quorum was changed and has other members")

    def _is_listed_nowhere(self) -> bool:
        log = self._driver.node.log
        own = [listed(quorum, self._local.id) for quorum in (log.quorum, log.committed_quorum)]
        return all(each is None or each.directory_id != self._local.directory_id for each in own)

    def _hears_leader(self) -> bool:
        leader = listed(self._driver.node.log.quorum, self._driver.active_id)
        if leader is None or self._driver.active_id == self._local.id:
            return self._driver.active_id == self._local.id
        return self._silent_s(leader.coordinator_id, leader.directory_id) < self._silence_s
