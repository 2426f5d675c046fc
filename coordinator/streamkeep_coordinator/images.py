"""The image of what is committed and, while this coordinator is active, of what it has proposed.

Every coordinator applies committed entries. The active one decides commands against the *proposed* image,
which has every entry proposed so far, so that many commands share a commit. Readers see the *committed* one.
What was proposed and not committed when it ceases to be active is forgotten here: if the next active
coordinator commits it all the same, it comes back as any other entry does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from streamkeep_common.image import ClusterImage, apply
from streamkeep_coordinator.entry_feed import EntryFeed
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, MetadataRecord


class Images:
    """`recovered` and `term` are what is committed at the start; `feed` has what was committed since."""

    def __init__(self, recovered: ClusterImage, term: int) -> None:
        self.committed = recovered
        self.committed_term = term
        self.feed = EntryFeed(recovered.index)
        self._proposed: ClusterImage | None = None
        self._pending: deque[ClusterImage] = deque()

    @property
    def proposed(self) -> ClusterImage:
        """What is decided against. Only between `begin` and `end`."""
        assert self._proposed is not None, "only the active coordinator has proposed anything"
        return self._proposed

    def begin(self) -> None:
        """This coordinator is active from now on, and the whole of its log is committed."""
        assert self._proposed is None, "it is active already"
        self._proposed = self.committed

    def end(self) -> None:
        """It is not active any more; nobody knows what becomes of the entries proposed."""
        self._proposed = None
        self._pending.clear()

    def after(self, records: Sequence[MetadataRecord]) -> ClusterImage:
        """The image with these records as the next entry; nothing changes yet. Raises as `image.apply`."""
        image, _ = apply(self.proposed, records, self.proposed.index + 1)
        return image

    def propose(self, image: ClusterImage) -> None:
        """An entry was proposed that leads to this image."""
        assert image.index == self.proposed.index + 1, f"image {image.index} after {self.proposed.index}"
        self._proposed = image
        self._pending.append(image)

    def commit(self, entry: MetadataEntry, size: int) -> None:
        """The next entry, of `size` bytes, is committed. Raises as `image.apply`."""
        assert entry.index == self.committed.index + 1, f"entry {entry.index} after {self.committed.index}"
        if self._pending:
            image = self._pending.popleft()
            assert image.index == entry.index, f"entry {entry.index} was proposed as {image.index}"
        else:
            image, _ = apply(self.committed, entry.records, entry.index)
        self.committed = image
        self.committed_term = entry.term
        self.feed.append(entry, size)

    def install(self, image: ClusterImage, term: int) -> None:
        """A snapshot has taken the place of the log up to its index; `term` is that of its last entry."""
        assert self._proposed is None, "the active coordinator has the whole log"
        assert image.index > self.committed.index, f"snapshot {image.index} after {self.committed.index}"
        self.committed = image
        self.committed_term = term
        self.feed.restart(image.index)
