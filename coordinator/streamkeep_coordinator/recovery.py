"""What the data directory says: the newest snapshot, then the entries after it."""

from __future__ import annotations

from pathlib import Path

from streamkeep_common.image import ClusterImage, apply
from streamkeep_common.seams import Disk
from streamkeep_coordinator.storage.snapshots import newest_snapshot, read_snapshot
from streamkeep_coordinator.storage.wal import Wal


def recover(disk: Disk, directory: Path, wal: Wal) -> ClusterImage:
    """The image of everything durable; `wal` is at its end then.

    Raises CorruptFileError for what is damaged, UnsupportedFeatureError for what a newer version wrote.
    """
    image = ClusterImage()
    snapshot = newest_snapshot(disk, directory)
    if snapshot is not None:
        chunks = read_snapshot(disk, directory, snapshot)
        image, _ = apply(image, (record for chunk in chunks for record in chunk.records), snapshot.index)
    for entry in wal.recover(image.index):
        image, _ = apply(image, entry.records, entry.index)
    return image
