"""Raft's promises, looked at after every event, over the logs of all coordinators.

  ONE_LEADER        a term has one leader at most
  LOG_MATCHING      entries of the same index and term follow the same history
  COMPLETENESS      a leader has every entry that is committed
  COMMITTED         what one coordinator commits at an index is what every other commits there
  OWN_TERM          a leader's commit index moves only to entries of its own term (Figure 8 of the paper)
  MONOTONIC         the commit index and the applied index of a process never go back
  DURABLE           the entries, the vote and the term that a directory promised are there after every start
  SAME_STATE        equal indexes have equal images, whether entries or a snapshot led to them

An entry stands for its whole history: its *chain* is a hash over it and all before it. So the questions are
answered by comparing single entries, and an event costs as much as it changes.
"""

from __future__ import annotations

import dataclasses
import hashlib
from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

from streamkeep_common.image import ClusterImage
from streamkeep_common.image.persistent_map import PersistentMap
from streamkeep_coordinator.raft.log import RaftLog
from streamkeep_coordinator.raft.node import RaftNode
from streamkeep_coordinator.raft.roles import Role
from streamkeep_proto.v1.raft_pb2 import RaftEntry
from tests.sim.quorum.inside import vote_of
from tests.sim.violation import InvariantError, require

ONE_LEADER = "one leader a term"
LOG_MATCHING = "log matching"
COMPLETENESS = "leader completeness"
COMMITTED = "no committed entry is lost or changed"
OWN_TERM = "only an entry of the own term is committed by counting"
MONOTONIC = "nothing goes back"
DURABLE = "what was promised is kept"
SAME_STATE = "equal indexes, equal images"


class Placed(NamedTuple):
    """An entry's term, and the chain that ends with it."""

    term: int
    chain: bytes


BEGINNING = Placed(0, b"")


class Agreement:
    """What the coordinators together have ever held, and what of it is committed.

    `note` is told what happens, by kind and detail; `on_proposed` gets each entry as soon as anybody has it,
    `on_committed` as soon as anybody has committed it.
    """

    def __init__(
        self,
        note: Callable[[str, str], None],
        on_proposed: Callable[[RaftEntry], None],
        on_committed: Callable[[RaftEntry], None],
    ) -> None:
        self.committed_index = 0
        self.note = note
        self._on_proposed = on_proposed
        self._on_committed = on_committed
        self._chains: dict[tuple[int, int], bytes] = {(0, 0): b""}
        self._committed: dict[int, Placed] = {0: BEGINNING}
        self._committed_in = [0]
        """By index: the term of whoever knew first that the entry is committed."""
        self._leaders: dict[int, str] = {}
        self._images: dict[int, ClusterImage] = {}

    def place(self, before: Placed, entry: RaftEntry, who: str) -> Placed:
        """`who` has this entry behind that one."""
        fields = b"%d %d %b %b" % (entry.index, entry.term, before.chain, entry.data)
        chain = hashlib.blake2b(fields, digest_size=12).digest()
        known = self._chains.get((entry.index, entry.term))
        if known is None:
            self._chains[entry.index, entry.term] = chain
            self._on_proposed(entry)
        elif known != chain:
            raise InvariantError(LOG_MATCHING, f"{who} has another entry {entry.index} of term {entry.term}")
        return Placed(entry.term, chain)

    def base(self, index: int, term: int, who: str) -> Placed:
        """The log of `who` begins behind this entry, which nobody has to hold any more."""
        chain = self._chains.get((index, term))
        if chain is None:
            raise InvariantError(
                LOG_MATCHING, f"{who} begins behind entry {index}, term {term}: nobody had it"
            )
        return Placed(term, chain)

    def commit(self, index: int, placed: Placed, entry: RaftEntry | None, who: str, *, term: int) -> None:
        """`who`, in that term, takes this entry for committed. `entry` is None if a snapshot brought it."""
        known = self._committed.get(index)
        if known is None:
            require(
                entry is not None, COMMITTED, f"{who} has a snapshot of entry {index}: nobody committed it"
            )
            assert entry is not None
            self._committed[index] = placed
            self._committed_in.append(max(term, self._committed_in[-1]))
            self.committed_index = index
            self.note("commit", f"{index} term {placed.term} by {who}")
            self._on_committed(entry)
        elif known != placed:
            raise InvariantError(
                COMMITTED,
                f"{who} commits term {placed.term} at index {index}, where {known.term} was committed",
            )

    def lead(self, term: int, who: str) -> None:
        """`who` leads in that term."""
        first = self._leaders.setdefault(term, who)
        require(first == who, ONE_LEADER, f"{first} and {who} lead in term {term}")
        self.note("elected", f"{who} term {term}")

    def require_complete(self, who: str, term: int, placed: Callable[[int], Placed | None]) -> None:
        """A leader has what was committed in earlier terms: the newest such entry, and thereby all before it.

        Of later terms it may know nothing: who was stopped while the votes came counts them when it wakes.
        """
        index = bisect_left(self._committed_in, term) - 1
        if placed(index) != self._committed[index]:
            raise InvariantError(
                COMPLETENESS,
                f"{who} leads in term {term} and lacks entry {index} of {self._committed[index].term}",
            )

    def show(self, image: ClusterImage, who: str) -> None:
        """`who` serves this image."""
        require(
            image.index <= self.committed_index,
            COMMITTED,
            f"{who} shows index {image.index}, committed is {self.committed_index}",
        )
        first = self._images.setdefault(image.index, image)
        require(
            first is image or _are_equal(first, image),
            SAME_STATE,
            f"{who} differs at index {image.index}",
        )


class Directory:
    """One data directory through all starts of its process: what its log held, and what it promised."""

    def __init__(self, agreement: Agreement, name: str) -> None:
        self.name = name
        self._agreement = agreement
        self._log: dict[int, Placed] = {0: BEGINNING}
        self._last_index = 0
        self._durable_index = 0
        self._promised_term = 0
        self._votes: dict[int, int] = {}
        self._process: RaftNode | None = None
        self._shape: tuple[object, ...] = ()
        self._committed_index = 0
        self._base_index = 0
        self._leads_in = 0
        self._applied_index = 0

    def look(self, node: RaftNode) -> None:
        """Called after every event of the process."""
        log = node.log
        shape = (
            log.last_index,
            log.last_term,
            log.committed_index,
            log.stable_index,
            log.base_index,
            node.term,
            node.role,
            node,
        )
        if shape != self._shape:
            self._shape = shape
            if node is not self._process:
                self._start(node)
            self._check(node)

    def show(self, image: ClusterImage) -> None:
        """The process serves another image than before."""
        require(
            image.index >= self._applied_index,
            MONOTONIC,
            f"{self.name} goes from index {self._applied_index} back to {image.index}",
        )
        self._applied_index = image.index
        self._agreement.show(image, self.name)

    def voted(self, term: int, candidate: int) -> None:
        """It said so to another."""
        first = self._votes.setdefault(term, candidate)
        require(first == candidate, DURABLE, f"{self.name} votes for {first} and {candidate} in term {term}")
        self._promised_term = max(self._promised_term, term)

    def acknowledged(self, term: int, index: int) -> None:
        """It told the leader of that term that it has everything up to the index."""
        self._promised_term = max(self._promised_term, term)
        if self._process is not None and term == self._process.term:
            self._durable_index = max(self._durable_index, index)

    # --- after a start ---

    def _start(self, node: RaftNode) -> None:
        self._process = node
        self._committed_index = self._applied_index = self._leads_in = 0
        require(
            node.term >= self._promised_term,
            DURABLE,
            f"{self.name} promised term {self._promised_term} and starts in {node.term}",
        )
        vote = self._votes.get(node.term, 0)
        require(
            vote in (0, vote_of(node)),
            DURABLE,
            f"{self.name} voted for {vote} in term {node.term}, and starts with a vote for {vote_of(node)}",
        )
        self._require_durable(node.log)
        base_index = self._last_index = node.log.base_index
        self._log = {base_index: self._agreement.base(base_index, node.log.base_term, self.name)}

    def _require_durable(self, log: RaftLog) -> None:
        index = self._durable_index
        if log.base_index < index:
            found = log.term_at(index) if index <= log.last_index else None
            require(
                found == self._log[index].term,
                DURABLE,
                f"{self.name} acknowledged {index} of term {self._log[index].term}, and starts with {found}",
            )

    # --- after an event ---

    def _check(self, node: RaftNode) -> None:
        self._require_monotonic(node)
        self._follow_log(node.log)
        self._follow_commit(node)
        if node.role is Role.LEADER:
            self._lead(node)

    def _lead(self, node: RaftNode) -> None:
        self._durable_index = max(self._durable_index, node.log.stable_index)
        if self._leads_in != node.term:
            self._leads_in = node.term
            self._agreement.lead(node.term, self.name)
            self._agreement.require_complete(self.name, node.term, self._log.get)

    def _require_monotonic(self, node: RaftNode) -> None:
        committed_index = node.log.committed_index
        require(
            committed_index >= self._committed_index,
            MONOTONIC,
            f"{self.name} goes from commit index {self._committed_index} back to {committed_index}",
        )
        require(
            node.log.last_index >= committed_index,
            COMMITTED,
            f"{self.name} has entries to {node.log.last_index}, and committed {committed_index}",
        )

    def _follow_log(self, log: RaftLog) -> None:
        known = self._log.get(log.base_index)
        if known is None or log.base_index > self._last_index or log.base_term != known.term:
            self._log[log.base_index] = self._agreement.base(log.base_index, log.base_term, self.name)
            self._last_index = log.base_index
            self._agreement.note("snapshot installed", f"{self.name} at {log.base_index}")
        agreed = min(self._last_index, log.last_index)
        while agreed > log.base_index and log.term_at(agreed) != self._log[agreed].term:
            agreed -= 1
        if agreed < self._last_index:
            self._truncate(agreed)
        for index in range(agreed + 1, log.last_index + 1):
            self._log[index] = self._agreement.place(self._log[index - 1], log.entry(index), self.name)
        self._last_index = log.last_index

    def _truncate(self, last_index: int) -> None:
        self._agreement.note("truncated", f"{self.name} to {last_index}")
        self._durable_index = min(self._durable_index, last_index)
        require(
            last_index >= self._committed_index,
            COMMITTED,
            f"{self.name} cuts its log to {last_index} and has committed {self._committed_index}",
        )

    def _follow_commit(self, node: RaftNode) -> None:
        log, before = node.log, self._committed_index
        for index in range(max(before + 1, log.base_index), log.committed_index + 1):
            entry = log.entry(index) if index > log.base_index else None
            self._agreement.commit(index, self._log[index], entry, self.name, term=node.term)
        self._committed_index = log.committed_index
        if log.committed_index > before and self._leads_in == node.term and node.role is Role.LEADER:
            require(
                self._log[log.committed_index].term == node.term,
                OWN_TERM,
                f"{self.name}, leader of term {node.term}, commits an entry of "
                f"{self._log[log.committed_index].term} by counting",
            )


def _are_equal(one: ClusterImage, other: ClusterImage) -> bool:
    """Field by field; maps by their shards first, which compare quickly where they are shared or empty."""
    names = [field.name for field in dataclasses.fields(one)]
    return all(_are_same(getattr(one, name), getattr(other, name)) for name in names)


def _are_same(one: object, other: object) -> bool:
    if isinstance(one, PersistentMap) and isinstance(other, PersistentMap) and one._shards == other._shards:
        return True
    return one == other
