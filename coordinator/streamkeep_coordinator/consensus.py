"""The seams between deciding what the metadata should say, agreeing on it, and holding what was agreed.

Whoever proposes knows nothing of Raft: an entry has an index and a term at once, and is committed later or
lost. Whoever holds the image knows nothing of it either: it is told what is committed, and when this process
begins and ceases to decide for the cluster. The coordinator that decides is the *active* one: it leads, and
has committed and applied an entry of its own term.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from streamkeep_common.image import ClusterImage
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, MetadataRecord
from streamkeep_proto.v1.raft_pb2 import CoordinatorAddress, DescribeQuorumResponse


class Consensus(Protocol):
    """Agreement on one log. All calls are made from the event loop."""

    @property
    def is_initialized(self) -> bool:
        """This coordinator belongs to a cluster."""
        ...

    @property
    def removed(self) -> str:
        """Why this coordinator is no member of the quorum any more; empty = it is one, as far as it knows."""
        ...

    @property
    def cluster_epoch(self) -> int:
        """Epoch of the cluster that this coordinator belongs to, at least 1; 0 = it belongs to none."""
        ...

    @property
    def is_active(self) -> bool:
        """This process decides for the cluster, as far as it knows; only then may it propose."""
        ...

    @property
    def active_id(self) -> int:
        """Coordinator id of whoever leads, as far as is known; 0 = not known."""
        ...

    @property
    def active_address(self) -> str:
        """host:port of whoever leads; empty = not known."""
        ...

    @property
    def term(self) -> int:
        """The newest term this process has seen; while active, the one in which it proposes."""
        ...

    @property
    def committed_index(self) -> int:
        """The last entry that is known to be committed; it may not be applied yet."""
        ...

    def propose(self, records: Sequence[MetadataRecord]) -> MetadataEntry:
        """Put an entry at the end of the log, not committed yet. The answer has its index and term.

        NotActiveError with the active one's address; NotInitializedError; UnavailableError if too much waits
        to be committed or leadership is being handed over; InvalidRequestError if the entry is too large.
        """
        ...

    async def wait_committed(self, index: int, term: int) -> None:
        """Return when the entry with this index and term is committed and applied.

        UnavailableError if this process is not active in that term any more: the entry may still become
        committed, or be lost. An entry that was applied before the call proves nothing about who is active
        *now*: an answer that rests on nothing newer needs a `read_barrier`.
        """
        ...

    async def read_barrier(self, timeout_s: float) -> None:
        """Return when everything that was committed before the call is applied here (ReadIndex).

        NoQuorumError if nobody confirms it in time; NotInitializedError.
        """
        ...

    def transfer(self, to: int = 0) -> None:
        """Hand leadership to another voter, 0 = whichever has most of the log; do not wait for it.

        NotActiveError; InvalidQuorumChangeError if there is nobody to hand it to.
        """
        ...


class StateMachine(Protocol):
    """What is told of agreement. Calls come from the event loop and must not fail."""

    def commit(self, entry: MetadataEntry, size: int) -> None:
        """The next committed entry, of `size` bytes, in order and each once; before its waiters are woken."""
        ...

    def install(self, image: ClusterImage, term: int) -> None:
        """A snapshot takes the place of everything committed so far; `term` is that of its last entry."""
        ...

    def activate(self, term: int) -> None:
        """From now on this process decides; the committed image holds all that was ever committed before."""
        ...

    def deactivate(self) -> None:
        """It does not any more: what is proposed and not committed may be lost."""
        ...


class QuorumControl(Protocol):
    """What operators may ask of the quorum."""

    def describe(self) -> DescribeQuorumResponse:
        """The members as this coordinator sees them; `error` says NOT_ACTIVE if another one knows more."""
        ...

    async def initialize(self, members: Sequence[CoordinatorAddress]) -> str:
        """Make a new cluster of coordinators that belong to none, this one among them; the cluster's id.

        InvalidQuorumChangeError says who stands in the way, UnavailableError who does not answer.
        """
        ...

    async def add(self, coordinator: CoordinatorAddress) -> None:
        """Return when a new member is committed as a learner; it is promoted by itself.

        NotActiveError, InvalidQuorumChangeError, UnavailableError, NotInitializedError.
        """
        ...

    async def remove(self, coordinator_id: int) -> None:
        """Return when the quorum without this member is committed. Raises as `add`."""
        ...

    async def transfer_to(self, coordinator_id: int) -> None:
        """Return when another voter leads, 0 = whichever has most of the log. As `add`; TimedOutError."""
        ...
