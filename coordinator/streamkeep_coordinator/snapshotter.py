"""Takes snapshots of the committed image while the coordinator works, and shortens the log.

The image is immutable, so the snapshot of one index can be written in small steps between other work. A
trailing window of entries stays in the log for those who lag a little behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from streamkeep_common.image import ClusterImage, to_records
from streamkeep_common.limits import MIB
from streamkeep_common.seams import Disk, Worker
from streamkeep_coordinator.images import Images
from streamkeep_coordinator.storage.snapshots import SnapshotId, SnapshotWriter
from streamkeep_coordinator.storage.storage import Storage
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, MetadataSnapshot

CHUNK_RECORDS = 1_000
SNAPSHOT_AFTER_BYTES = 64 * MIB
TRAILING_ENTRIES = 1_000


def snapshot_chunks(image: ClusterImage, term: int) -> Iterator[MetadataSnapshot]:
    """The image as messages of bounded size, made one by one; at least one."""
    records = to_records(image)
    chunk = list(islice(records, CHUNK_RECORDS))
    while True:
        yield MetadataSnapshot(index=image.index, term=term, records=chunk)
        chunk = list(islice(records, CHUNK_RECORDS))
        if not chunk:
            return


class Snapshotter:
    """`log_worker` is the one that writes to `storage`; snapshots are written on a worker of their own.

    `compact` is told up to which entry the log in memory is not needed any more; `on_failure` gets the error
    of a snapshot that could not be written.
    """

    def __init__(
        self,
        disk: Disk,
        directory: Path,
        storage: Storage,
        images: Images,
        *,
        worker: Worker,
        log_worker: Worker,
        after_entries: int,
        compact: Callable[[int], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._storage = storage
        self._images = images
        self._worker = worker
        self._log_worker = log_worker
        self._after_entries = after_entries
        self._compact = compact
        self._on_failure = on_failure
        self._entries = 0
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None

    def committed(self, entry: MetadataEntry, size: int) -> None:  # noqa: ARG002 - a listener of commits
        """Count an entry, and start a snapshot if there were enough since the last one."""
        self._entries += 1
        self._bytes += size
        if self._entries >= self._after_entries or self._bytes >= SNAPSHOT_AFTER_BYTES:
            self.start()

    def start(self) -> None:
        """Take a snapshot now, unless one is being taken."""
        if self._task is None:
            self._entries = self._bytes = 0
            self._task = asyncio.create_task(self._take(), name="metadata-snapshot")

    async def close(self) -> None:
        """Let a snapshot under way end."""
        if self._task is not None:
            await self._task

    async def _take(self) -> None:
        try:
            await self._write(self._images.committed, self._images.committed_term)
        except Exception as error:  # a log that is never shortened would fill the disk in silence
            self._on_failure(error)
        finally:
            self._task = None

    async def _write(self, image: ClusterImage, term: int) -> None:
        writer = SnapshotWriter(self._disk, self._directory, SnapshotId(image.index, term))
        for chunk in snapshot_chunks(image, term):
            await self._worker.run(partial(writer.add, chunk.SerializeToString()))
        await self._worker.run(writer.finish)
        self._compact(image.index - TRAILING_ENTRIES)
        await self._log_worker.run(partial(self._storage.drop_before, image.index - TRAILING_ENTRIES + 1))
