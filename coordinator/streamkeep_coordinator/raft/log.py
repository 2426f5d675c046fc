"""The log in memory: everything after its base, and how much of it is on this node's disk.

The base is the last entry that a snapshot stands for; of what it covers only its term and the newest quorum
are known. A quorum is in effect from the moment its entry is here, and no more when the entry is dropped
(thesis 4.1). Knows no roles, no peers and no messages.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from streamkeep_coordinator.raft.errors import LostEntriesError, RaftInvariantError
from streamkeep_proto.v1.metadata_pb2 import QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry, SnapshotReceived

ENTRY_OVERHEAD_BYTES = 64
"""What an entry costs beside its data, roughly, on the wire and here."""


class RaftLog:
    """`entries` follow the base without a gap and are durable, as found at the start."""

    def __init__(
        self,
        base_index: int = 0,
        base_term: int = 0,
        base_quorum: QuorumRecord | None = None,
        entries: Iterable[RaftEntry] = (),
        committed_index: int = 0,
    ) -> None:
        self.base_index = base_index
        self.base_term = base_term
        self._entries: list[RaftEntry] = []
        self._sizes: list[int] = []
        self._quorums: list[tuple[int, QuorumRecord | None]] = [(base_index, base_quorum)]
        for entry in entries:
            self.append(entry)
        self.committed_index = base_index
        self.stable_index = self.written_index = self.last_index
        """Durable up to stable_index; on disk, or in the write that is under way, up to written_index."""
        self.truncate_from = 0
        """The next write drops entries from here on; 0 = none."""
        self.restored: SnapshotReceived | None = None
        """The next write puts this in place of the whole log."""
        self.commit_to(committed_index)

    # ---- what is there ----

    @property
    def last_index(self) -> int:
        return self.base_index + len(self._entries)

    @property
    def last_term(self) -> int:
        return self._entries[-1].term if self._entries else self.base_term

    @property
    def quorum(self) -> QuorumRecord | None:
        """The newest one that was appended: the one in effect."""
        return self._quorums[-1][1]

    @property
    def quorum_index(self) -> int:
        """Of the entry with the quorum in effect, or the base."""
        return self._quorums[-1][0]

    @property
    def committed_quorum(self) -> QuorumRecord | None:
        return self._committed_quorum()[1]

    @property
    def committed_quorum_index(self) -> int:
        return self._committed_quorum()[0]

    def term_at(self, index: int) -> int | None:
        """None if that entry is not there, or not any more."""
        if index == self.base_index:
            return self.base_term
        position = index - self.base_index - 1
        return self._entries[position].term if 0 <= position < len(self._entries) else None

    def entry(self, index: int) -> RaftEntry:
        assert self.base_index < index <= self.last_index
        return self._entries[index - self.base_index - 1]

    def size(self, index: int) -> int:
        """Of the entry, bytes."""
        return self._sizes[index - self.base_index - 1]

    def slice(self, first: int, last: int, max_bytes: int | None = None) -> list[RaftEntry]:
        """Entries from `first` to `last`, both included, as many as fit and at least one; empty if last <
        first.
        """
        assert self.base_index < first
        start, end = first - self.base_index - 1, min(last, self.last_index) - self.base_index
        if max_bytes is None:
            return self._entries[start:end]
        total = 0
        for position in range(start, end):
            total += self._sizes[position]
            if total > max_bytes and position > start:
                return self._entries[start:position]
        return self._entries[start:end]

    def exceeds(self, first: int, max_bytes: int) -> bool:
        """The entries from `first` on, as far as they are here, are more than fit."""
        start = max(0, first - self.base_index - 1)
        enough = max_bytes // ENTRY_OVERHEAD_BYTES + 1
        return sum(self._sizes[start : start + enough]) > max_bytes

    def is_up_to_date(self, last_index: int, last_term: int) -> bool:
        """A log that ends there has everything that could be committed here (thesis 3.6.1)."""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def last_not_after(self, index: int, term: int) -> tuple[int, int]:
        """Index and term of the newest entry at or before `index` whose term is at most `term`: nothing after
        it can agree with a log that has `term` at `index` (thesis 3.5, the last paragraphs). The base if
        there is none.
        """
        end = max(0, min(index, self.last_index) - self.base_index)
        count = bisect_right(self._entries, term, hi=end, key=lambda entry: entry.term)
        found = self.base_index + count
        return found, self._entries[count - 1].term if count else self.base_term

    # ---- changes ----

    def append(self, entry: RaftEntry) -> None:
        if entry.index != self.last_index + 1 or entry.term < max(1, self.last_term):
            end = f"{self.last_index} of term {self.last_term}"
            raise RaftInvariantError(f"entry {entry.index} of term {entry.term} cannot follow {end}")
        self._entries.append(entry)
        self._sizes.append(len(entry.data) + ENTRY_OVERHEAD_BYTES)
        if entry.HasField("quorum"):
            self._quorums.append((entry.index, entry.quorum))

    def truncate(self, first: int) -> None:
        """Drop the entries from `first` on. RaftInvariantError if one of them is committed (thesis 3.5)."""
        if first <= self.committed_index:
            raise RaftInvariantError(
                f"entry {first} would be dropped, but {self.committed_index} is committed"
            )
        del self._entries[first - self.base_index - 1 :]
        del self._sizes[first - self.base_index - 1 :]
        while self._quorums[-1][0] >= first:
            self._quorums.pop()
        if first <= self.written_index:
            self.truncate_from = min(first, self.truncate_from or first)
            self.written_index = first - 1
            self.stable_index = min(self.stable_index, first - 1)

    def commit_to(self, index: int) -> None:
        """Committed are at least the entries up to there; never fewer than before."""
        if index > self.last_index:
            raise LostEntriesError(
                f"entry {index} is committed, but this log ends at {self.last_index}: it lost some"
            )
        self.committed_index = max(self.committed_index, index)

    def compact(self, index: int) -> None:
        """A snapshot stands for the entries up to `index` from now on."""
        assert self.base_index <= index <= min(self.committed_index, self.stable_index)
        self.base_term, dropped = self._term_of_known(index), index - self.base_index
        del self._entries[:dropped]
        del self._sizes[:dropped]
        while len(self._quorums) > 1 and self._quorums[1][0] <= index:
            self._quorums.pop(0)
        self.base_index = index

    def restore(self, snapshot: SnapshotReceived) -> None:
        """The snapshot takes the place of everything."""
        assert snapshot.index > self.committed_index
        self._entries, self._sizes = [], []
        quorum = snapshot.quorum if snapshot.HasField("quorum") else None
        self._quorums = [(snapshot.index, quorum)]
        self.base_index = self.committed_index = snapshot.index
        self.base_term = snapshot.last_term
        self.stable_index = self.written_index = snapshot.index
        self.truncate_from = 0
        self.restored = snapshot

    # ---- what has to be written ----

    def unwritten(self) -> list[RaftEntry]:
        """Entries that are in no write yet; from now on they are."""
        entries = self.slice(self.written_index + 1, self.last_index)
        self.written_index = self.last_index
        return entries

    def written(self, last_index: int) -> None:
        """A write that ended there is durable; what was dropped while it was under way does not count."""
        self.stable_index = max(self.stable_index, min(last_index, self.written_index))

    def _term_of_known(self, index: int) -> int:
        term = self.term_at(index)
        assert term is not None
        return term

    def _committed_quorum(self) -> tuple[int, QuorumRecord | None]:
        return next(each for each in reversed(self._quorums) if each[0] <= self.committed_index)
