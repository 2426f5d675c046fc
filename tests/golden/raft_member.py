"""One coordinator of a scenario: what its disk holds, and its process while it runs."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from streamkeep_coordinator.raft import HardState, RaftConfig, RaftLog, RaftNode, Write
from streamkeep_proto.v1.metadata_pb2 import QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry, SnapshotReceived

ELECTION_TICKS = 10
UNWRITTEN = HardState(0, 0, 0)


class _NodeNumber(random.Random):
    """Every election timeout of a node is longer than the shortest by its number."""

    def __init__(self, number: int) -> None:
        super().__init__(0)
        self._number = number

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        return start + self._number


@dataclass
class Member:
    """A coordinator: its disk, and its process while it runs."""

    id: int
    life: str = ""
    hard_state: HardState = UNWRITTEN
    snapshot: SnapshotReceived = field(default_factory=SnapshotReceived)
    entries: list[RaftEntry] = field(default_factory=list)
    node: RaftNode | None = None
    writing: Write | None = None
    is_slow: bool = False
    applied: int = 0
    told: str = ""

    @property
    def name(self) -> str:
        return f"{self.id}{self.life}"

    @property
    def directory_id(self) -> bytes:
        return self.name.encode().ljust(16, b".")

    def set_log(self, terms: list[int], quorum: QuorumRecord) -> None:
        self.entries = [
            RaftEntry(
                index=index,
                term=term,
                data=b"quorum" if index == 1 else b"%d" % index,
                quorum=quorum if index == 1 else None,
            )
            for index, term in enumerate(terms, start=1)
        ]
        self.hard_state = HardState(terms[-1], 0, 0)

    def start(self, limits: dict[str, int]) -> RaftNode:
        quorum = self.snapshot.quorum if self.snapshot.HasField("quorum") else None
        config = RaftConfig(
            coordinator_id=self.id,
            directory_id=self.directory_id,
            election_ticks=ELECTION_TICKS,
            heartbeat_ticks=2,
            **limits,
        )
        committed_index = self.hard_state.committed_index
        node = RaftNode(
            config,
            log=RaftLog(self.snapshot.index, self.snapshot.last_term, quorum, self.entries, committed_index),
            hard_state=self.hard_state,
            rng=_NodeNumber(self.id),
            make_no_op=lambda index, term: b"no-op",
        )
        self.node, self.applied = node, self.snapshot.index
        return node

    def do(self, write: Write) -> None:
        if write.snapshot is not None:
            self.snapshot, self.entries = write.snapshot, []
        if write.truncate_from:
            del self.entries[write.truncate_from - self.snapshot.index - 1 :]
        self.hard_state = write.hard_state or self.hard_state
        self.entries += write.entries

    def running(self) -> RaftNode:
        assert self.node is not None, f"{self.name} does not run"
        return self.node
