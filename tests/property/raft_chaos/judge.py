"""What Raft promises, asserted of everything that any node does."""

from __future__ import annotations

from collections import Counter

from streamkeep_coordinator.raft import RaftNode, Role
from streamkeep_proto.v1.raft_pb2 import RaftEntry


class Judge:
    """What all nodes together have shown. Each method asserts a promise."""

    def __init__(self) -> None:
        self.leaders: dict[int, tuple[int, bytes]] = {}
        self.written: dict[tuple[int, int], tuple[bytes, int]] = {}
        self.committed: list[tuple[int, bytes]] = [(0, b"")]
        self.seen: Counter[str] = Counter()

    @property
    def committed_index(self) -> int:
        return len(self.committed) - 1

    def entry_appended(self, entry: RaftEntry, previous_term: int) -> None:
        """Log matching: index and term say what the entry is, and what is before it."""
        found = self.written.setdefault((entry.index, entry.term), (entry.data, previous_term))
        assert found == (entry.data, previous_term), f"two entries {entry.index} of term {entry.term}"

    def leads(self, node: RaftNode, identity: tuple[int, bytes]) -> None:
        """One leader a term, and it has all that is committed."""
        if self.leaders.setdefault(node.term, identity) != identity:
            raise AssertionError(f"two leaders of term {node.term}: {self.leaders[node.term]} {identity}")
        for index in range(node.log.base_index + 1, self.committed_index + 1):
            assert node.log.term_at(index) == self.committed[index][0], f"the leader lacks entry {index}"

    def commits(self, entry: RaftEntry, nodes: list[RaftNode]) -> None:
        """Never anything else, and no leader of a newer term is without it."""
        if entry.index <= self.committed_index:
            assert self.committed[entry.index] == (entry.term, entry.data), f"{entry.index} is another now"
            return
        assert entry.index == self.committed_index + 1
        self.committed.append((entry.term, entry.data))
        for node in nodes:
            if node.role is Role.LEADER and node.term >= entry.term and entry.index > node.log.base_index:
                assert node.log.term_at(entry.index) == entry.term, f"the leader lacks entry {entry.index}"
