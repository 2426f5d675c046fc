"""Who is in sync and who leads, given who is alive (KIP-966).

`elect` looks at one partition and says how it ought to stand now. It is declarative: asked after any change
of brokers it gives the same result in whatever order the changes came, and what is there if nothing changes.

A member whose broker is fenced leaves the in-sync set. If that leaves fewer than min ISR the high watermark
is frozen, so the member has all that was acknowledged and stays eligible (ELR). A member whose log
directory is gone has nothing and leaves both; only the last ones stay listed as eligible, for the record of
who had the data, and cannot be elected until the directory is back.
"""

from __future__ import annotations

from streamkeep_common.image import ClusterImage, PartitionImage, Standing


def elect(
    image: ClusterImage, partition: PartitionImage, *, min_insync_replicas: int, leaving: int = 0
) -> Standing:
    """How the partition ought to stand. Its epochs and its number are not looked at.

    `leaving` is a broker (0 = none) that leads only where nobody else in sync can.
    """
    isr = tuple(member for member in partition.isr if is_usable(image, partition, member))
    elr: tuple[int, ...] = ()
    if len(isr) < min(min_insync_replicas, len(partition.replicas)):
        elr = _eligible(image, partition, isr)
    leader = _choose_leader(partition, isr, leaving)
    if not leader:
        leader = next((member for member in elr if is_usable(image, partition, member)), 0)
        isr = (leader,) if leader else ()
        elr = tuple(member for member in elr if member != leader)
    assert leader in isr if leader else not isr, f"leader {leader} of in-sync replicas {isr}"
    return Standing(isr, elr, leader)


def is_usable(image: ClusterImage, partition: PartitionImage, broker_id: int) -> bool:
    """The broker is live and has the directory that holds its replica."""
    return image.is_live(broker_id) and _has_directory(image, partition, broker_id)


def _has_directory(image: ClusterImage, partition: PartitionImage, broker_id: int) -> bool:
    broker = image.brokers.get(broker_id)
    return broker is not None and partition.directory_of(broker_id) in broker.registration.directory_ids


def _eligible(image: ClusterImage, partition: PartitionImage, isr: tuple[int, ...]) -> tuple[int, ...]:
    """Who was in sync or eligible and is not in sync now, the preferred leader first."""
    members = tuple(
        member
        for member in partition.replicas
        if (member in partition.isr or member in partition.elr) and member not in isr
    )
    with_data = tuple(member for member in members if _has_directory(image, partition, member))
    return with_data if with_data or isr else members


def _choose_leader(partition: PartitionImage, isr: tuple[int, ...], leaving: int) -> int:
    """The present leader if it may stay, else the first replica that is in sync; 0 = none."""
    staying = [member for member in isr if member != leaving] or list(isr)
    if partition.leader in staying:
        return partition.leader
    return next((member for member in partition.replicas if member in staying), 0)
