"""What can be said of one replica of a partition, given its broker and its log directory as they are now."""

from __future__ import annotations

from streamkeep_common.image import ClusterImage, PartitionImage


def has_directory(image: ClusterImage, partition: PartitionImage, broker_id: int) -> bool:
    """The directory that holds the replica is there, though its broker may be fenced: nothing is lost."""
    broker = image.brokers.get(broker_id)
    return broker is not None and partition.directory_of(broker_id) in broker.directory_ids


def is_usable(image: ClusterImage, partition: PartitionImage, broker_id: int) -> bool:
    """The broker is live and has the directory that holds its replica."""
    return image.is_live(broker_id) and has_directory(image, partition, broker_id)


def is_stalled(image: ClusterImage, partition: PartitionImage, broker_id: int) -> bool:
    """Flushes take too long in the replica's directory."""
    directory_id = partition.directory_of(broker_id)
    return directory_id is not None and image.brokers[broker_id].is_stalled(directory_id)


def is_full(image: ClusterImage, partition: PartitionImage, broker_id: int) -> bool:
    """There is no room in the replica's directory."""
    directory_id = partition.directory_of(broker_id)
    return directory_id is not None and image.brokers[broker_id].is_full(directory_id)


def is_good(image: ClusterImage, partition: PartitionImage, broker_id: int) -> bool:
    """Usable, and its directory takes appends and flushes them in time."""
    return (
        is_usable(image, partition, broker_id)
        and not is_stalled(image, partition, broker_id)
        and not is_full(image, partition, broker_id)
    )
