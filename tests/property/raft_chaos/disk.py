"""What of a member survives a crash: writes that are done, and some of the one that was under way."""

from __future__ import annotations

from dataclasses import dataclass, field

from streamkeep_coordinator.raft import HardState, Write
from streamkeep_proto.v1.raft_pb2 import RaftEntry, SnapshotReceived

UNWRITTEN = HardState(0, 0, 0)


def directory(coordinator_id: int, life: int) -> bytes:
    return f"{coordinator_id}/{life}".encode().ljust(16, b".")


@dataclass
class Disk:
    """What is durable."""

    directory_id: bytes
    hard_state: HardState = UNWRITTEN
    snapshot: SnapshotReceived = field(default_factory=SnapshotReceived)
    entries: list[RaftEntry] = field(default_factory=list)

    @property
    def last_index(self) -> int:
        return self.snapshot.index + len(self.entries)

    def do(self, write: Write, entries: int) -> None:
        """All of it, or with fewer entries, as a crash leaves it."""
        if write.snapshot is not None:
            self.snapshot, self.entries = write.snapshot, []
        if write.truncate_from:
            del self.entries[max(0, write.truncate_from - self.snapshot.index - 1) :]
        if write.hard_state is not None:
            hint = min(write.hard_state.committed_index, self.last_index + entries)
            self.hard_state = write.hard_state._replace(committed_index=hint)
        for entry in write.entries[:entries]:
            assert entry.index == self.last_index + 1
            self.entries.append(entry)

    def keep_snapshot(self, snapshot: SnapshotReceived) -> None:
        del self.entries[: snapshot.index - self.snapshot.index]
        self.snapshot = snapshot
