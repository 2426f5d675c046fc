"""Which replica a reader is sent to: one in its own rack that is as good as the leader (KIP-392). Pure."""

from __future__ import annotations

from streamkeep_common.image import ClusterImage, PartitionImage
from streamkeep_proto.v1.errors_pb2 import LeaderHint


def near_replica(image: ClusterImage, partition: PartitionImage, rack: str) -> LeaderHint | None:
    """The replica to read from for a reader in `rack`, empty = it does not say; None = the leader itself.

    It follows, is in sync by what is committed, and its broker is not fenced; of several the lowest id. A
    pure function of image and rack: asked twice, a leader says the same.
    """
    leader = image.brokers.get(partition.leader)
    if not rack or leader is None or leader.rack == rack:
        return None
    for broker_id in sorted(partition.isr):
        broker = image.brokers.get(broker_id)
        if broker is not None and not broker.fenced and broker.rack == rack:
            return LeaderHint(
                broker_id=broker_id, address=broker.address, leader_epoch=partition.leader_epoch
            )
    return None
