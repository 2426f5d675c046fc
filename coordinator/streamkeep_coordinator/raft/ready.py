"""What a node asks its shell to do, and what it tells of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from streamkeep_coordinator.raft.config import HardState
from streamkeep_coordinator.raft.progress import ProgressState
from streamkeep_coordinator.raft.roles import Role
from streamkeep_proto.v1.raft_pb2 import RaftEntry, RaftMessage, SnapshotReceived


@dataclass(slots=True, kw_only=True)
class Write:
    """To be done in this order and made durable as one; then `messages` may leave, then `advance` is called.

    A crash in the middle must leave a prefix of it: no message has left yet.
    """

    hard_state: HardState | None = None
    """None = as it was."""
    snapshot: SnapshotReceived | None = None
    """Install it first: it takes the place of the whole log."""
    truncate_from: int = 0
    """Then drop the entries from this index on; 0 = none."""
    entries: list[RaftEntry] = field(default_factory=list)
    """Then append these."""
    messages: list[RaftMessage] = field(default_factory=list)
    """Answers and questions that promise what is written."""


@dataclass(slots=True, kw_only=True)
class Ready:
    """Everything that is to be done now; asked for again, it is not repeated."""

    messages: list[RaftMessage] = field(default_factory=list)
    """To send at once: they promise nothing that has yet to be written."""
    write: Write | None = None
    """None while another one is not advanced, or if there is nothing to write."""
    committed: list[RaftEntry] = field(default_factory=list)
    """To apply, in order, each once; all of it is durable here."""
    reads: list[tuple[int, int]] = field(default_factory=list)
    """(context, index): that read is linearizable once the index is applied."""
    snapshots: list[int] = field(default_factory=list)
    """Peers that need the newest snapshot; `snapshot_sent` says what became of it."""

    def __bool__(self) -> bool:
        return bool(self.messages or self.write or self.committed or self.reads or self.snapshots)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberProgress:
    """One member as the leader sees it."""

    coordinator_id: int
    directory_id: bytes
    voter: bool
    match_index: int
    state: ProgressState
    recently_active: bool
    """It has answered within an election timeout."""
    silent_ticks: int
    """Since it answered, or since the leader's term began."""
    lag: int
    """Entries of the leader's log that it is not known to have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaftStatus:
    """A node at one moment. `members` is empty unless it leads; then the leader is among them."""

    role: Role
    term: int
    leader: int
    """0 = not known."""
    committed_index: int
    last_index: int
    is_active: bool
    """Leads, and has committed an entry of its own term."""
    members: tuple[MemberProgress, ...]
    """By id."""
    transfer_target: int
    """Who is being handed leadership; 0 = nobody."""
