"""Where in a broker the things are that checkers look at: the one place that knows."""

from __future__ import annotations

from collections import Counter

from streamkeep_broker.broker import Broker
from streamkeep_broker.replication.following.replica import FollowingReplica
from streamkeep_broker.replication.partition import Partition


def maximal_isr(partition: Partition) -> set[int]:
    """Whom a leader counts for the high watermark."""
    leadership = partition.leadership
    assert leadership is not None, f"{partition.name} does not lead"
    isr = leadership._isr
    return {*isr.committed, *isr.additions}


def subscriptions(broker: Broker) -> Counter[str]:
    """How many subscriptions the broker has of each partition that it follows, and waits to have."""
    counts: Counter[str] = Counter()
    for link in broker.replicas.following._links.values():
        for stream in link._streams.values():
            for subscriber in (*stream._waiting, *stream._subscribed.values()):
                assert isinstance(subscriber, FollowingReplica)
                counts[subscriber.partition.name] += 1
    return counts
