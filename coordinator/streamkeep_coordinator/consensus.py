"""The seam between deciding what the metadata should say and agreeing on it.

With one voter, agreeing is a flush of the disk (`single_voter`); with several it will be Raft. Whoever
proposes knows nothing of either: an entry has an index and a term at once, and is committed later or lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, MetadataRecord


class Consensus(Protocol):
    """Agreement on one log. All calls are made from the event loop.

    Committed entries are handed, in order and each once, to the `on_commit` that was given to the
    constructor, before anybody who waits for them is woken.
    """

    @property
    def term(self) -> int:
        """The term in which this process proposes."""
        ...

    @property
    def committed_index(self) -> int: ...

    def propose(self, records: Sequence[MetadataRecord]) -> MetadataEntry:
        """Put an entry at the end of the log, not committed yet. The answer has its index and term.

        UnavailableError if too much waits to be committed; InvalidRequestError if the entry is too large.
        """
        ...

    async def wait_committed(self, index: int) -> None:
        """Return when that entry and all before it are committed. UnavailableError if it never will be."""
        ...
