"""The two images of an active coordinator, and the entries between them.

Commands are decided against the *proposed* image, which has every entry proposed so far, so that many
commands share one commit. Readers see the *committed* one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from streamkeep_common.image import ClusterImage, apply
from streamkeep_coordinator.entry_feed import EntryFeed
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, MetadataRecord


class Images:
    """`recovered` and `term` are what the log held at the start; `feed` has what was committed since."""

    def __init__(self, recovered: ClusterImage, term: int) -> None:
        self.committed = recovered
        self.committed_term = term
        self.proposed = recovered
        self.feed = EntryFeed(recovered.index)
        self._pending: deque[ClusterImage] = deque()

    def after(self, records: Sequence[MetadataRecord]) -> ClusterImage:
        """The image with these records as the next entry; nothing changes yet. Raises as `image.apply`."""
        image, _ = apply(self.proposed, records, self.proposed.index + 1)
        return image

    def propose(self, image: ClusterImage) -> None:
        """An entry was proposed that leads to this image."""
        assert image.index == self.proposed.index + 1, f"image {image.index} after {self.proposed.index}"
        self.proposed = image
        self._pending.append(image)

    def commit(self, entry: MetadataEntry, size: int) -> None:
        """The next proposed entry, of `size` bytes, is committed."""
        image = self._pending.popleft()
        assert image.index == entry.index, f"entry {entry.index} was proposed as {image.index}"
        self.committed = image
        self.committed_term = entry.term
        self.feed.append(entry, size)
